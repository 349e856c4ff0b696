"""DynamoDB JSON to Python and back, exactly: no rounded numbers, no text for bytes."""

import base64
import binascii
import reprlib
from collections.abc import Callable, Mapping
from decimal import Context, Decimal, Inexact, InvalidOperation, Overflow, Subnormal
from typing import Any

from distributary.errors import Rejected

Value = None | bool | str | bytes | Decimal | list | dict | frozenset
Typed = Mapping[str, Any]

_NUMBERS = Context(prec=38, Emin=-130, Emax=125, traps=[Inexact, InvalidOperation, Overflow, Subnormal])
"""DynamoDB's number: 38 digits, 1E-130 to 9.99E+125; whatever would be rounded is refused.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html"""

_exactly = _NUMBERS.create_decimal
_DEPTH = 64
"""DynamoDB nests 32 levels deep: what is far deeper came from no table, and would exhaust the stack."""


def decode(typed: Typed, where: str = "value", depth: int = 0) -> Value:
    """The Python value of one typed attribute: N as Decimal, B as bytes, sets as frozenset, M as dict, L as list.

    `where` names the attribute in the error. The names inside a map are content, so they are only in the
    error's detail. Raises Rejected for what is no DynamoDB value.
    """
    try:
        ((tag, content),) = typed.items()
        if type(content) is str and content.isascii():
            if tag == "S":
                return content
            if tag == "N":
                return _number(content)
        flat = _FLAT.get(tag)
        if flat is not None:
            return flat(content)
        if depth == _DEPTH:
            raise ValueError("nested too deep")
        return _NESTED[tag](content, where, depth + 1)
    except Rejected:
        raise
    except (AttributeError, TypeError, ValueError, LookupError, ArithmeticError) as error:
        tags = ", ".join([*_FLAT, *_NESTED])
        raise Rejected(
            f"attribute '{where}': expected content of one type of {tags}", f"{error!r}: {reprlib.repr(typed):.200}"
        ) from None


def decode_item(item: Mapping[str, Typed]) -> dict[str, Value]:
    """A whole item; see `decode`."""
    return {name: decode(typed, name) for name, typed in item.items()}


def encode(value: Any, where: str = "value", depth: int = 0) -> dict[str, Any]:
    """DynamoDB JSON of a Python value, as a boto3 client takes it (B as bytes).

    int and Decimal become N, set and frozenset SS, NS or BS. Raises Rejected for a float (inexact: use Decimal), an
    empty or mixed set, a number beyond 38 digits, text with a lone surrogate, a map whose names are no strings, and
    any other type, and for what is nested deeper than a table can hold it.
    """
    if depth > _DEPTH:
        raise Rejected(f"attribute '{where}': nested too deep")
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": _well_formed(value, where)}
        case bytes() | bytearray():
            return {"B": bytes(value)}
        case int() | Decimal():
            return {"N": number_text(value, where)}
        case Mapping():
            members = ((_well_formed(name, where), member) for name, member in value.items())
            return {"M": {name: encode(member, where, depth + 1) for name, member in members}}
        case list() | tuple():
            return {"L": [encode(member, where, depth + 1) for member in value]}
        case set() | frozenset():
            return _encode_set(value, where)
        case float():
            raise Rejected(f"attribute '{where}': a float is inexact; give a Decimal")
    raise Rejected(f"attribute '{where}': {type(value).__name__} has no DynamoDB type")


def encode_item(item: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """A whole item; see `encode`."""
    return {name: encode(value, name) for name, value in item.items()}


def for_client(typed: Typed, where: str = "value") -> dict[str, Any]:
    """A typed attribute out of a Lambda event (B as base64 text) as a boto3 client takes it (B as bytes).

    Everything else is passed through unchanged, so that a copy is exact. Raises Rejected as `decode` does.
    """
    decode(typed, where)
    return _with_bytes(typed)


def _with_bytes(typed: Typed) -> dict[str, Any]:
    ((tag, content),) = typed.items()
    match tag:
        case "B":
            return {"B": _binary(content)}
        case "BS":
            return {"BS": [_binary(member) for member in content]}
        case "M":
            return {"M": {name: _with_bytes(member) for name, member in content.items()}}
        case "L":
            return {"L": [_with_bytes(member) for member in content]}
    return {tag: content}


def typed_json(image: Mapping[str, Typed]) -> dict[str, Any]:
    """An image as boto3 gives it, with its bytes in base64, as an event has it. It shares what has no bytes."""
    return {name: _as_text(value) for name, value in image.items()}


def _as_text(value: Typed) -> Typed:
    if "S" in value or "N" in value:
        return value
    ((kind, content),) = value.items()
    if kind == "B":
        return {"B": base64.b64encode(content).decode()}
    if kind == "BS":
        return {"BS": [base64.b64encode(each).decode() for each in content]}
    if kind == "M":
        return {"M": typed_json(content)}
    if kind == "L":
        return {"L": [_as_text(each) for each in content]}
    return value


def number_text(number: int | Decimal, where: str = "value") -> str:
    """The one text of a number, so that 1, 1.0 and 1E0 are the same key. Raises Rejected beyond 38 digits."""
    try:
        exact = _NUMBERS.create_decimal(number)
    except ArithmeticError:
        raise Rejected(f"attribute '{where}': DynamoDB numbers have at most 38 digits, up to 9.99E+125") from None
    if not exact.is_finite():
        raise Rejected(f"attribute '{where}': a DynamoDB number is finite")
    if not exact:
        return "0"
    sign, digits, exponent = exact.as_tuple()
    text = "".join(map(str, digits)).rstrip("0")
    shift = int(exponent) + len(digits) - len(text)
    if -40 <= shift <= 0 or 0 < shift <= 40 - len(text):
        return format(Decimal((sign, tuple(map(int, text)), shift)), "f")
    return f"{'-' * sign}{text}E{shift}"


def _number(text: str) -> Decimal:
    if not isinstance(text, str) or not text.isascii():
        raise TypeError
    number = _exactly(text)
    if not number.is_finite():
        raise ValueError
    return number


def _binary(content: str | bytes) -> bytes:
    if isinstance(content, bytes):
        return content
    try:
        return base64.b64decode(content, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None


def _text(content: str) -> str:
    if not isinstance(content, str):
        raise TypeError
    if not content.isascii():
        content.encode()  # a lone surrogate raises ValueError here, and not where the text is written
    return content


def _flag(content: bool) -> bool:
    if not isinstance(content, bool):
        raise TypeError
    return content


def _null(content: bool) -> None:
    if content is not True:
        raise TypeError


def _set_of(member: Callable[[Any], Any]) -> Callable[[Any], frozenset]:
    def members(content: list) -> frozenset:
        if not isinstance(content, list) or not content:
            raise TypeError
        return frozenset(map(member, content))

    return members


def _list(content: list, where: str, depth: int) -> list:
    if not isinstance(content, list):
        raise TypeError
    return [decode(member, where, depth) for member in content]


def _map(content: dict, where: str, depth: int) -> dict:
    return {_text(name): decode(member, where, depth) for name, member in content.items()}


_FLAT: dict[str, Callable[[Any], Any]] = {
    "S": _text,
    "N": _number,
    "B": _binary,
    "BOOL": _flag,
    "NULL": _null,
    "SS": _set_of(_text),
    "NS": _set_of(_number),
    "BS": _set_of(_binary),
}
_NESTED: dict[str, Callable[[Any, str, int], Any]] = {"M": _map, "L": _list}


def _well_formed(text: Any, where: str) -> str:
    try:
        return _text(text)
    except (TypeError, ValueError):
        raise Rejected(f"attribute '{where}': text and a map's names are strings without lone surrogates") from None


def _encode_set(members: set | frozenset, where: str) -> dict[str, Any]:
    if not members:
        raise Rejected(f"attribute '{where}': DynamoDB has no empty set; leave the attribute out")
    encoded = [encode(member, where) for member in members]
    tags = {tag for typed in encoded for tag in typed}
    if len(tags) > 1 or not tags <= {"S", "N", "B"}:
        raise Rejected(f"attribute '{where}': a set holds strings, numbers or binaries, of one kind")
    (tag,) = tags
    return {f"{tag}S": sorted(typed[tag] for typed in encoded)}
