"""Ready-made functions of an item, for `compute` and wherever a declaration takes a function."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from functools import cache
from typing import Any, Literal, get_args

from distributary.errors import ConfigError, Rejected
from distributary.stream.change import Image
from distributary.stream.codec import Value
from distributary.stream.struct import Struct

Source = str | Callable[[Image], Any]
"""An attribute's name, or a function of the item."""
Step = Literal["hour", "day", "week", "month", "year"]
Unit = Literal["seconds", "milliseconds", "microseconds"]

_PER_SECOND: dict[str, int] = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def attributes_of(source: Source | None) -> Iterator[str]:
    """The attributes that a source is known to read: its name, or those of a ready-made function."""
    if isinstance(source, str):
        yield source
    elif isinstance(source, _Ready):
        yield from attributes_of(source.of)


class _Ready(Struct, frozen=True):
    """A function of what `of` is; None for an item without it."""

    of: Source

    def __call__(self, item: Image) -> Any:
        """Of one item."""
        found = self.of(item) if callable(self.of) else item.get(self.of)
        return None if found is None else self._made(found)

    def _made(self, value: Any) -> Any:
        raise NotImplementedError

    def _text(self, value: Any, what: str) -> str:
        if not isinstance(value, str):
            raise Rejected(f"{what}: {_named(self.of)} is {type(value).__name__}, and must be a string")
        return value


class _Part(_Ready, frozen=True):
    separator: str
    at: int

    def _made(self, value: Any) -> str | None:
        parts = self._text(value, "split_part").split(self.separator)
        return parts[self.at] if -len(parts) <= self.at < len(parts) else None


class _Lower(_Ready, frozen=True):
    def _made(self, value: Any) -> str:
        return self._text(value, "lower").lower()


class _Nested(_Ready, frozen=True):
    path: tuple[str, ...]

    def _made(self, value: Any) -> Any:
        return within(value, self.path)


class _Json(_Ready, frozen=True):
    path: tuple[str, ...]
    on_error: str

    def _made(self, value: Any) -> Any:
        if not isinstance(value, str) and self.on_error == "none":
            return None
        text = self._text(value, "json_field")
        try:
            return within(json.loads(text, parse_float=Decimal, parse_int=Decimal, parse_constant=_refused), self.path)
        except (ValueError, RecursionError, ArithmeticError) as error:
            if self.on_error == "none":
                return None
            raise Rejected(f"json_field: {_named(self.of)} is no JSON", str(error)) from None


class _Truncated(_Ready, frozen=True):
    to: str
    zone: str
    unit: str

    def _made(self, value: Any) -> str:
        try:
            at = self._moment(value).astimezone(_zone(self.zone))
        except (ValueError, OverflowError, ArithmeticError) as error:
            raise Rejected(f"date_trunc: {_named(self.of)} is no time", str(error)) from None
        match self.to:
            case "hour":
                return f"{at:%Y-%m-%dT%H}{_offset(at)}" if self.zone != "UTC" else f"{at:%Y-%m-%dT%H}"
            case "week":
                year, week, _ = at.isocalendar()
                return f"{year:04d}-W{week:02d}"
        return at.date().isoformat()[: {"day": 10, "month": 7, "year": 4}[self.to]]

    def _moment(self, value: Any) -> datetime:
        if isinstance(value, str):
            found = datetime.fromisoformat(value)
            return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise Rejected(f"date_trunc: {_named(self.of)} is {type(value).__name__}, and must be a string or a number")
        return _EPOCH + timedelta(microseconds=int(Decimal(value) * 1_000_000 / _PER_SECOND[self.unit]))


@cache
def _zone(name: str) -> tzinfo:
    from zoneinfo import ZoneInfo  # by the declarations that need it: a cold start pays for it

    return ZoneInfo(name)


def date_trunc(source: Source, to: Step, *, zone: str = "UTC", unit: Unit = "seconds") -> Callable[[Image], str | None]:
    """The hour, day, week, month or year of a time, as text that sorts by time.

    Args:
        source: An attribute with the time, or a function of the item: an ISO 8601 text, which is taken as UTC if it
            names no offset, or a number since the epoch.
        to: What is kept of it. `"hour"` gives `2026-11-20T14`, `"day"` `2026-11-20`, `"week"` `2026-W47` (ISO 8601),
            `"month"` `2026-11`, `"year"` `2026`. Hours of a zone other than UTC end with their offset,
            `2026-10-25T02+0100`, because the clock shows one hour twice when summer time ends.
        zone: The time zone in which days begin, by its IANA name such as `Europe/Berlin`.
        unit: What a number counts.

    Returns:
        A function of the item: its text, or None if the item lacks the attribute. It raises Rejected for what is no
        time, and the change is then parked.

    Raises:
        ConfigError: The step, the zone or the unit is unknown.
    """
    faults = [
        f"date_trunc: {name} is {given!r}: give one of {', '.join(get_args(known))}"
        for name, given, known in (("to", to, Step), ("unit", unit, Unit))
        if given not in get_args(known)
    ]
    try:
        _zone(zone)
    except (LookupError, ValueError, OSError):
        faults.append(f"date_trunc: no time zone is called {zone!r}: give an IANA name such as 'Europe/Berlin'")
    if faults:
        raise ConfigError(faults)
    return _Truncated(source, to, zone, unit)


def split_part(source: Source, separator: str, at: int) -> Callable[[Image], str | None]:
    """One part of a text, such as an id inside a sort key: `split_part("sk", "#", 1)` of `CHAT#c-7#OLD` is `c-7`.

    Args:
        source: An attribute with a string, or a function of the item.
        separator: What divides the parts; at least one character.
        at: Which part, counted from 0, or from the end if it is negative.

    Returns:
        A function of the item: the part, or None if there is none. It raises Rejected for what is no string.

    Raises:
        ConfigError: The separator is empty.
    """
    if not separator:
        raise ConfigError("split_part: the separator is empty: give at least one character")
    return _Part(source, separator, at)


def json_field(
    source: Source, path: str | Sequence[str], *, on_error: Literal["park", "none"] = "park"
) -> Callable[[Image], Value]:
    """A field of a JSON text: `json_field("payload", "device.id")`.

    Args:
        source: An attribute with a string, or a function of the item.
        path: The names that lead to the field, with dots between them, or as a sequence if a name has dots. A number
            is a place in a list.
        on_error: What follows if the text is no JSON: `"park"` parks the change, `"none"` takes the field as missing.

    Returns:
        A function of the item: the field, numbers as Decimal; None if there is no such field.

    Raises:
        ConfigError: The path is empty, or `on_error` is unknown.
    """
    if on_error not in ("park", "none"):
        raise ConfigError(f"json_field: on_error is {on_error!r}: give 'park' or 'none'")
    return _Json(source, _path("json_field", path), on_error)


def nested(path: str | Sequence[str]) -> Callable[[Image], Value]:
    """An attribute inside a map or a list: `nested("address.city")`.

    Args:
        path: The attribute's name and the names inside it, with dots between them, or as a sequence if a name has
            dots. A number is a place in a list.

    Returns:
        A function of the item: the value, or None if there is none.

    Raises:
        ConfigError: The path does not lead into an attribute.
    """
    first, *rest = _path("nested", path)
    if not rest:
        raise ConfigError(f"nested: '{first}' leads into no attribute: write it as 'attribute.name'")
    return _Nested(first, tuple(rest))


def lower(source: Source) -> Callable[[Image], str | None]:
    """A text in lower case, so that `Ada@Example.com` and `ada@example.com` are one group.

    Args:
        source: An attribute with a string, or a function of the item.

    Returns:
        A function of the item: the text, or None if the item lacks it. It raises Rejected for what is no string.
    """
    return _Lower(source)


def within(value: Any, path: Sequence[str]) -> Any:
    """What the path leads to inside a map or a list; None if there is nothing."""
    for name in path:
        if isinstance(value, Mapping):
            value = value.get(name)
        elif isinstance(value, list) and name.isdecimal() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def _path(function: str, path: str | Sequence[str]) -> tuple[str, ...]:
    names = tuple(path.split(".")) if isinstance(path, str) else tuple(path)
    if not names or not all(names):
        raise ConfigError(f"{function}: the path {path!r} has an empty name: write it as 'attribute.name'")
    return names


def _named(source: Source) -> str:
    return f"'{source}'" if isinstance(source, str) else "the function's answer"


def _offset(at: datetime) -> str:
    return f"{at:%z}"


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
