"""One spelling of an item, the same in a stream record and in an answer of the table: to compare, digest and keep."""

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from distributary.stream.codec import Typed, decode, encode


def image(raw: Mapping[str, Typed]) -> dict[str, Any]:
    """A whole item: binaries as base64 text, numbers in one form, sets in order. Raises Rejected for what is no
    DynamoDB item."""
    return {name: _spelled(encode(decode(typed, name), name)) for name, typed in raw.items()}


def text(content: Any) -> str:
    """JSON, the same for equal content. Bytes and other mappings than dicts may be part of it."""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_plain)


def digest(*contents: Any) -> str:
    """22 characters that name canonical content: 128 bits."""
    return base64.urlsafe_b64encode(digest_bytes(*contents)).decode().rstrip("=")


def digest_bytes(*contents: Any) -> bytes:
    """The 16 bytes that `digest` spells."""
    return hashlib.sha256(text(contents).encode(errors="surrogatepass")).digest()[:16]


def _plain(value: Any) -> Any:
    match value:
        case bytes():
            return {"bytes": value.hex()}
        case Mapping():
            return dict(value)
    return repr(value)


def _spelled(typed: Typed) -> dict[str, Any]:
    ((tag, content),) = typed.items()
    match tag:
        case "B":
            return {"B": base64.b64encode(content).decode()}
        case "BS":
            return {"BS": [base64.b64encode(member).decode() for member in sorted(content)]}
        case "M":
            return {"M": {name: _spelled(member) for name, member in content.items()}}
        case "L":
            return {"L": [_spelled(member) for member in content]}
    return {tag: content}
