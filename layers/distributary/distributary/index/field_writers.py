"""DynamoDB values as JSON for the mapping they are declared with: what does not fit is refused here, by its field."""

import base64
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import orjson

from distributary.errors import Rejected
from distributary.stream.codec import number_text

Writer = Callable[[Any], Any]
"""A value to what orjson writes. Raises Rejected, naming the field and nothing of the value."""

is_plain_whole = re.compile(r"0|-?[1-9][0-9]{0,17}").fullmatch
"""Whether a number's text is what `digits` would write, within a long."""

KEYWORD_BYTES = 32_766
"""Lucene's longest term; what exceeds it fails its document as an `immense term`.
https://docs.opensearch.org/latest/field-types/supported-field-types/keyword/"""

SHORT_TEXT = KEYWORD_BYTES // 4
"""Characters that no keyword is too short for."""

_WHOLE = {
    "byte": range(-(2**7), 2**7),
    "short": range(-(2**15), 2**15),
    "integer": range(-(2**31), 2**31),
    "long": range(-(2**63), 2**63),
    "unsigned_long": range(2**64),
}
_FLOATING = {
    "double": 1.7976931348623157e308,
    "scaled_float": 9.2e18,
    "float": 3.4028234e38,
    "half_float": 65_504.0,
}
_SINGLE = (str, Decimal)
_NUMBERS = (Decimal, int, float)
_LONGEST_EXPONENT = 400
_EPOCH_DIGITS = 19


def writer(name: str, mapping: Mapping[str, Any]) -> Writer:
    """For a field of that name and OpenSearch mapping. What no rule here is about is passed on as it is."""
    kind = mapping.get("type", "object")
    if kind == "knn_vector":
        return _vector(name, mapping)
    if kind in ("object", "nested", "flat_object"):
        return _object(name, mapping) if mapping.get("enabled", True) else plain
    if kind in _WHOLE:
        return _each(_whole(name, kind))
    if kind in _FLOATING:
        return _each(_floating(name, kind))
    if kind in ("keyword", "text"):
        return _each(_text(name, mapping))
    if kind in ("date", "date_nanos"):
        return _each(_date(name, mapping))
    if kind == "boolean":
        return _each(_only(name, kind, bool, str))
    return _each(_only(name, kind, bytes, str)) if kind == "binary" else plain


def plain_tag(mapping: Mapping[str, Any]) -> str:
    """The type in DynamoDB JSON whose commonest values a field takes as they are, so that no writer has to see them: S
    of at most `SHORT_TEXT` characters, or N that `is_plain_whole`. Empty if there is none."""
    kind = mapping.get("type", "object")
    if kind in ("keyword", "text", "date"):
        return "S"
    return "N" if kind in ("long", "double") else ""


def plain(value: Any) -> Any:
    """A value for orjson as it is: numbers with every digit, sets as sorted arrays, binaries as base64."""
    match value:
        case None | bool() | str():
            return value
        case int() | Decimal() | float():
            return orjson.Fragment(digits("value", value))
        case bytes() | bytearray():
            return base64.b64encode(value).decode()
        case Mapping():
            return {name: plain(member) for name, member in value.items()}
        case list() | tuple():
            return [plain(member) for member in value]
        case set() | frozenset():
            return [plain(member) for member in _sorted(value)]
    raise Rejected(f"{type(value).__name__} has no JSON")


def digits(name: str, number: int | float | Decimal) -> str:
    """The one exact text of a number. Raises Rejected for what is infinite or none."""
    try:
        exact = Decimal(repr(number)) if isinstance(number, float) else Decimal(number)
    except (ValueError, ArithmeticError):
        raise Rejected(f"field '{name}': the number cannot be written") from None
    if not exact.is_finite():
        raise Rejected(f"field '{name}': a number is finite")
    try:
        return number_text(exact)
    except Rejected:
        return str(exact)


def _each(one: Writer) -> Writer:
    """Every field takes an array of its type, https://docs.opensearch.org/latest/field-types/"""

    def write(value: Any) -> Any:
        if type(value) in _SINGLE:
            return one(value)
        match value:
            case None:
                return None
            case list() | tuple():
                return [write(member) for member in value]
            case set() | frozenset():
                return [one(member) for member in _sorted(value)]
        return one(value)

    return write


def _sorted(members: Any) -> list[Any]:
    try:
        return sorted(members)
    except TypeError:
        return sorted(members, key=repr)


def _refuse(name: str, kind: str, value: Any) -> Rejected:
    shown = "number" if _is_number(value) else type(value).__name__
    return Rejected(f"field '{name}': a {shown} is no {kind}")


def _is_number(value: Any) -> bool:
    return isinstance(value, _NUMBERS) and not isinstance(value, bool)


def _whole(name: str, kind: str) -> Writer:
    span = _WHOLE[kind]

    def write(value: Any) -> Any:
        if isinstance(value, str):
            return value
        if not _is_number(value):
            raise _refuse(name, kind, value)
        text = digits(name, value)
        if isinstance(value, Decimal) and value.adjusted() > _LONGEST_EXPONENT:
            raise Rejected(f"field '{name}': the number is outside {kind}")
        if int(value) != value or int(value) not in span:
            raise Rejected(f"field '{name}': the number is no whole one inside {kind}; declare it double or keyword")
        return orjson.Fragment(text)

    return write


def _floating(name: str, kind: str) -> Writer:
    most = _FLOATING[kind]

    def write(value: Any) -> Any:
        if isinstance(value, str):
            return value
        if not _is_number(value):
            raise _refuse(name, kind, value)
        text = digits(name, value)
        if Decimal(text).copy_abs() > Decimal(most):
            raise Rejected(f"field '{name}': the number is outside {kind}; declare it double or keyword")
        return orjson.Fragment(text)

    return write


def _text(name: str, mapping: Mapping[str, Any]) -> Writer:
    """Keyword or text: numbers exactly; bounded where the field or one below it is a keyword that is indexed whole."""
    kind = mapping["type"]
    keywords = [each for each in (mapping, *mapping.get("fields", {}).values()) if each.get("type") == "keyword"]
    bounds = [_longest(each) for each in keywords]

    def write(value: Any) -> Any:
        if type(value) is str and len(value) <= SHORT_TEXT:
            return value
        if _is_number(value):
            text = digits(name, value)
            return text if kind == "keyword" else orjson.Fragment(text)
        if isinstance(value, bytes | bytearray):
            value = base64.b64encode(value).decode()
        elif not isinstance(value, str | bool):
            raise _refuse(name, kind, value)
        if isinstance(value, str) and any(immense(value) for immense in bounds):
            raise Rejected(
                f"field '{name}': a keyword has at most {KEYWORD_BYTES} bytes; give its mapping ignore_above"
            )
        return value

    return write


def _longest(mapping: Mapping[str, Any]) -> Callable[[str], bool]:
    """Whether a value is an immense term for a keyword; `ignore_above` (characters) leaves out what is longer."""
    if not mapping.get("index", True) and not mapping.get("doc_values", True):
        return lambda _: False
    above = mapping.get("ignore_above", 2**31)
    return lambda value: len(value) <= above and len(value.encode()) > KEYWORD_BYTES


def _date(name: str, mapping: Mapping[str, Any]) -> Writer:
    """A string in the declared format is OpenSearch's to read; a number needs an epoch format, as the default has."""
    epoch = "epoch_" in mapping.get("format", "epoch_millis")

    def write(value: Any) -> Any:
        if isinstance(value, str):
            return value
        if not _is_number(value):
            raise _refuse(name, "date", value)
        if not epoch:
            raise Rejected(f"field '{name}': a number is no date of its format; add epoch_second or epoch_millis to it")
        text = digits(name, value)
        if abs(Decimal(text).adjusted()) >= _EPOCH_DIGITS:
            raise Rejected(f"field '{name}': the number is no time since the epoch")
        return orjson.Fragment(text)

    return write


def _only(name: str, kind: str, *types: type) -> Writer:
    def write(value: Any) -> Any:
        if not isinstance(value, types):
            raise _refuse(name, kind, value)
        return plain(value)

    return write


def _vector(name: str, mapping: Mapping[str, Any]) -> Writer:
    dimension = mapping.get("dimension")

    def write(value: Any) -> Any:
        if value is None:
            return None
        if not isinstance(value, list | tuple) or not all(_is_number(member) for member in value):
            raise Rejected(f"field '{name}': a vector is a list of numbers")
        if dimension is not None and len(value) != dimension:
            raise Rejected(f"field '{name}': the vector has {len(value)} members, and its mapping {dimension}")
        return [component(member) for member in value]

    component = _floating(name, "float")
    return write


def _object(name: str, mapping: Mapping[str, Any]) -> Writer:
    members = {key: writer(f"{name}.{key}", each) for key, each in mapping.get("properties", {}).items()}

    def write(value: Any) -> Any:
        match value:
            case None:
                return None
            case list() | tuple():
                return [write(member) for member in value]
            case Mapping():
                return {key: members.get(key, plain)(member) for key, member in value.items()}
        raise _refuse(name, "object", value)

    return write
