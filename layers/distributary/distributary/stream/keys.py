"""Key templates and item identities: no value can forge another's key."""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from string import Formatter
from typing import Any
from urllib.parse import unquote

from distributary.errors import ConfigError, Rejected
from distributary.stream.codec import Typed, Value, decode, number_text
from distributary.stream.sort_key import number_of, sortable_number
from distributary.stream.struct import Struct

SEPARATORS = "#|/:;,&=~!$*?<>^\\\"'`()[]{} "
_INVISIBLE = "".join(map(chr, [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]))
_TYPES = ("S", "N", "B")
_SORTABLE = "sortable"

PARTITION_KEY_BYTES = 2048
SORT_KEY_BYTES = 1024
"""https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html"""


_ENCODED = {ord(c): "".join(f"%{byte:02X}" for byte in c.encode()) for c in "%" + SEPARATORS + _INVISIBLE}


@lru_cache(maxsize=64)
def _escapes(separators: str) -> dict[int, str]:
    return {ord(c): _ENCODED[ord(c)] for c in "%" + separators + _INVISIBLE}


_ESCAPES = _escapes(SEPARATORS)


def escape(text: str) -> str:
    """`text` with `%`, separators and control characters percent-encoded as UTF-8; letters of any script stay."""
    return text.translate(_ESCAPES)


def bounded(text: str, limit: int) -> str:
    """`text` if it has at most `limit` UTF-8 bytes, else `%h` and its SHA-256 (66 bytes): `escape` never writes `%h`.

    A lone surrogate, which no table holds, is left for the service that is given the text to refuse.
    """
    encoded = text.encode(errors="surrogatepass")
    return text if len(encoded) <= limit else f"%h{hashlib.sha256(encoded).hexdigest()}"


def identity(keys: Mapping[str, Typed]) -> str:
    """One text for an item's key attributes (DynamoDB JSON), whatever their names, number and types.

    Raises Rejected if a key is not a string, number or binary.
    """
    return "&".join(f"{escape(name)}={_tagged(name, keys[name])}" for name in sorted(keys))


@lru_cache(maxsize=64)
def table_of(source: str) -> str:
    """The name of the table in a table's or a stream's ARN, empty for anything else."""
    found = re.fullmatch(r"arn:[^:]+:dynamodb:[^:]*:[^:]*:table/([^/]+)(/.*)?", source)
    return found[1] if found else ""


def table_arn_of(stream: str) -> str:
    """The ARN of the table in that of its stream, or of the data stream that it writes into."""
    return stream.partition("/stream/")[0]


def table_arn(table: str) -> str:
    """An ARN that `table_of` reads as this table, where region and account are not known; an ARN as it is."""
    return table if table.startswith("arn:") else f"arn:aws:dynamodb:::table/{table}"


def item_identity(table: str, keys: Mapping[str, Typed]) -> str:
    """One text for an item among the items of all source tables, which have different names. Raises Rejected as
    `identity` does."""
    return f"{escape(table)}/{identity(keys)}"


def item_digest(table: str, keys: Mapping[str, Typed]) -> str:
    """32 hexadecimal digits for an item, in names that are not to show its key. Raises Rejected as `identity` does."""
    return hashlib.sha256(item_identity(table, keys).encode(errors="surrogatepass")).hexdigest()[:32]


def _tagged(name: str, typed: Typed) -> str:
    value = decode(typed, name)
    (tag,) = typed
    if tag not in _TYPES:
        raise Rejected(f"key '{name}': DynamoDB keys are S, N or B")
    return f"{tag}:{_plain(value, name, _ESCAPES)}"


def _plain(value: Any, name: str, escapes: dict[int, str]) -> str:
    match value:
        case str():
            return value.translate(escapes)
        case bytes():
            return base64.urlsafe_b64encode(value).decode().rstrip("=")
    return number_text(value, name)


def read_plain(type: str, plain: str) -> Typed:
    """The attribute that stands in a key as `plain`. Raises ValueError, binascii.Error."""
    match type:
        case "sortable":
            return {"N": number_text(number_of(plain))}
        case "B":
            return {"B": base64.urlsafe_b64decode(plain + "=" * (-len(plain) % 4))}
        case "N":
            return {"N": _number_as_written(plain)}
    return {"S": unquote(plain, errors="strict")}


def _number_as_written(plain: str) -> str:
    try:
        if number_text(Decimal(plain)) == plain:
            return plain
    except (ArithmeticError, Rejected):
        pass
    raise ValueError("no number as a key holds it")


class _Field(Struct, frozen=True):
    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Template:
    """A key such as `CUSTOMER#{customer_id}`: text with the attributes that it interpolates.

    `{name}` takes a string, `{name:N}` a number, `{name:sortable}` a number written so that keys sort as the numbers do
    (see `sortable_number`), `{name:B}` a binary, which is written as base64 for URLs without padding. In the values,
    `%`, control characters and the separators (such as `#`) that the template's own text uses are percent-encoded. So
    two different inputs never get the same key. An item that lacks an attribute, or has another type in it, gets none.
    """

    text: str
    parts: tuple[str | _Field, ...]
    separators: str
    escapes: dict[int, str] = field(repr=False, compare=False)

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Raises ConfigError if the template is malformed, or if two different inputs could get the same key."""
        try:
            pieces = list(Formatter().parse(text))
        except ValueError as error:
            raise ConfigError(f"template '{text}': {error}; write a literal brace as '{{{{' or '}}}}'") from None
        parts: list[str | _Field] = []
        for literal, name, spec, conversion in pieces:
            if "%" in literal:
                raise ConfigError(f"template '{text}': '%' is the escape's own sign; choose another")
            if literal:
                parts.append(literal)
            if name is None:
                continue
            if not name or conversion or (spec or "S") not in (*_TYPES, _SORTABLE):
                raise ConfigError(
                    f"template '{text}': write a field as {{name}}, {{name:N}}, {{name:sortable}} or {{name:B}}"
                )
            parts.append(_Field(name, spec or "S"))
        if not parts:
            raise ConfigError("a template is empty: give it a literal or a field")
        used = {c for part in parts if isinstance(part, str) for c in part}
        separators = "".join(c for c in SEPARATORS if c in used)
        return cls(text, _unambiguous(text, parts), separators, _escapes(separators))

    @property
    def attributes(self) -> tuple[str, ...]:
        """The names it interpolates, in order."""
        return tuple(part.name for part in self.parts if isinstance(part, _Field))

    @property
    def types(self) -> dict[str, str]:
        """S, N, B or sortable for each name."""
        return {part.name: part.type for part in self.parts if isinstance(part, _Field)}

    @property
    def alone(self) -> str:
        """The name, if the template is one field and nothing else; else empty."""
        part = self.parts[0]
        return part.name if len(self.parts) == 1 and isinstance(part, _Field) else ""

    def unescaped(self, item: Mapping[str, Value]) -> str:
        """The text with strings and numbers as they are: another program's key, which two inputs may share. Raises
        Rejected for a missing or mistyped attribute."""
        return "".join(part if isinstance(part, str) else self._interpolate(part, item, {}) for part in self.parts)

    def render(self, item: Mapping[str, Value], limit: int) -> str:
        """The key, at most `limit` bytes. Raises Rejected for a missing or mistyped attribute and for an empty or
        oversized key."""
        key = "".join(part if isinstance(part, str) else self._interpolate(part, item) for part in self.parts)
        size = len(key.encode())
        if not 0 < size <= limit:
            raise Rejected(f"template '{self.text}': the key would have {size} bytes, and may have 1 to {limit}")
        return key

    def beginning(self, item: Mapping[str, Value]) -> tuple[str, tuple[str, ...]]:
        """The key up to the first attribute that `item` lacks, and the names of the attributes from there on. Raises
        Rejected for a mistyped attribute."""
        texts: list[str] = []
        for at, part in enumerate(self.parts):
            if isinstance(part, _Field) and part.name not in item:
                return "".join(texts), tuple(each.name for each in self.parts[at:] if isinstance(each, _Field))
            texts.append(part if isinstance(part, str) else self._interpolate(part, item))
        return "".join(texts), ()

    def field(self, name: str, value: Value) -> str:
        """What an attribute's value is in the key. Raises Rejected for a mistyped one."""
        (part, *_) = (each for each in self.parts if isinstance(each, _Field) and each.name == name)
        return self._interpolate(part, {name: value})

    def short(self, raw: Mapping[str, Typed], limit: int) -> str | None:
        """What `render` makes of an item in DynamoDB JSON, if all of it is short strings; else None."""
        texts = []
        for part in self.parts:
            if isinstance(part, str):
                texts.append(part)
                continue
            typed = raw.get(part.name)
            text = typed.get("S") if type(typed) is dict and len(typed) == 1 and part.type == "S" else None
            if type(text) is not str:
                return None
            texts.append(text.translate(self.escapes))
        key = "".join(texts)
        return key if 0 < len(key) * 4 <= limit else None

    def read(self, text: str) -> dict[str, Typed] | None:
        """The attributes that a rendered key interpolates, as DynamoDB JSON; None for a text that it cannot have made.
        A digest (see `bounded`) shows nothing."""
        plain = f"([^{re.escape(self.separators)}]*)" if self.separators else "(.*)"
        pattern = "".join(re.escape(part) if isinstance(part, str) else plain for part in self.parts)
        match = re.fullmatch(pattern, text, re.DOTALL)
        if match is None:
            return None
        found: dict[str, Typed] = {}
        fields = [part for part in self.parts if isinstance(part, _Field)]
        try:
            for field, plain in zip(fields, match.groups(), strict=True):
                typed = read_plain(field.type, plain)
                if found.setdefault(field.name, typed) != typed:
                    return None
        except (ValueError, binascii.Error):
            return None
        return found

    def _interpolate(self, field: _Field, item: Mapping[str, Value], escapes: dict[int, str] | None = None) -> str:
        if field.name not in item:
            raise Rejected(f"template '{self.text}': the item has no attribute '{field.name}'")
        value, expected = item[field.name], "N" if field.type == _SORTABLE else field.type
        tag = "S" if isinstance(value, str) else "B" if isinstance(value, bytes) else type(value).__name__
        if tag.replace("Decimal", "N") != expected:
            hint = f"; write {{{field.name}:N}}" if tag == "Decimal" else ""
            raise Rejected(f"template '{self.text}': '{field.name}' is {tag}, expected {expected}{hint}")
        if field.type == _SORTABLE:
            return sortable_number(value)  # type: ignore[arg-type]
        return _plain(value, field.name, self.escapes if escapes is None else escapes)

    def may_equal(self, other: "Template") -> bool:
        """Whether some inputs of the two could make the same key. A value may hold every character but the template's
        own separators."""
        return _globs_meet(self._glob(), other._glob())

    def _glob(self) -> tuple["str | frozenset[str]", ...]:
        """One element a character, or the separators that a run of any other characters leaves out."""
        run = frozenset(self.separators)
        return tuple(c for part in self.parts for c in (part if isinstance(part, str) else [run]))


def _unambiguous(text: str, parts: list[str | _Field]) -> tuple[str | _Field, ...]:
    for before, part, after in zip(parts, parts[1:], [*parts[2:], ""], strict=False):
        if isinstance(before, _Field) and isinstance(part, _Field):
            raise ConfigError(f"template '{text}': put a separator between '{before.name}' and '{part.name}'")
        if isinstance(before, _Field) and isinstance(after, _Field) and not set(str(part)) & set(SEPARATORS):
            raise ConfigError(f"template '{text}': '{part}' between two fields needs one of {SEPARATORS.strip()}")
    return tuple(parts)


_Glob = tuple[str | frozenset[str], ...]


def _globs_meet(a: _Glob, b: _Glob) -> bool:
    """Whether two patterns have a text in common."""
    reached = {(0, 0)}
    pending = [(0, 0)]
    while pending:
        i, j = pending.pop()
        if i == len(a) and j == len(b):
            return True
        for step in _steps(a, b, i, j):
            if step not in reached:
                reached.add(step)
                pending.append(step)
    return False


def _steps(a: _Glob, b: _Glob, i: int, j: int) -> list[tuple[int, int]]:
    left = a[i] if i < len(a) else ""
    right = b[j] if j < len(b) else ""
    steps = []
    if isinstance(left, frozenset):
        steps.append((i + 1, j))
        if isinstance(right, str) and right and right not in left:
            steps.append((i, j + 1))
    if isinstance(right, frozenset):
        steps.append((i, j + 1))
        if isinstance(left, str) and left and left not in right:
            steps.append((i + 1, j))
    if left and isinstance(left, str) and left == right:
        steps.append((i + 1, j + 1))
    return steps


NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
"""What a view, rule or index may be called: its name stands in keys and log lines."""
