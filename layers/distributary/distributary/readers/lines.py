"""The lines of a compressed file. Whatever is wrong with the file is an error that names it, and the line."""

import base64
import gzip
import hashlib
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import IO, Any, TypeVar

from distributary.consumer.aws import AwsError, code_of
from distributary.errors import ConfigError, Unavailable
from distributary.readers.place import Place

LONGEST = 32 * 2**20
"""Bytes. Two images of 400 KB are far shorter, whatever is escaped in them."""

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Expected:
    """What a manifest says of a file: how many lines, and base64 of the MD5 of its bytes as stored."""

    count: int
    md5: str


class _Summed:
    """A file that is read once, with the sum of all that was read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._md5 = file, hashlib.md5(usedforsecurity=False)

    def read(self, size: int = -1) -> bytes:
        """As a file's."""
        data = self._file.read(size)
        self._md5.update(data)
        return data

    def md5(self) -> str:
        """Of the whole file, base64."""
        while self.read(2**20):
            pass
        return base64.b64encode(self._md5.digest()).decode()


def lines(place: Place, name: str, expected: Expected | None = None) -> Iterator[tuple[int, bytes]]:
    """Each line with its number, from 1.

    Raises ConfigError for a file that is missing, empty, no gzip, truncated, or not what its manifest says; the last
    two come after the lines before. Raises Unavailable where S3 breaks off.
    """
    number, shown = 0, place.shown(name)
    with closing(place.open(name)) as file:
        summed = _Summed(file)
        try:
            with gzip.GzipFile(fileobj=summed) as unpacked:  # type: ignore[call-overload]
                while line := unpacked.readline(LONGEST):
                    number += 1
                    if len(line) == LONGEST:
                        raise ConfigError(f"{shown}:{number}: the line is longer than any item of DynamoDB")
                    yield number, line
            found = Expected(number, summed.md5())
        except AwsError as error:
            raise Unavailable(f"{shown}: {code_of(error)}", str(error)) from error
        except (EOFError, OSError, zlib.error) as error:
            raise ConfigError(f"{shown}:{number + 1}: the file is damaged: {error}") from None
    if expected is not None and found != expected:
        raise ConfigError(_differs(shown, found, expected))
    if expected is None and not number:
        raise ConfigError(f"{shown}: the file is empty")


def _differs(shown: str, found: Expected, expected: Expected) -> str:
    if found.count != expected.count:
        return f"{shown}:{found.count}: the file has {found.count} lines, and its manifest says {expected.count}"
    return f"{shown}: the file's MD5 is {found.md5}, and its manifest says {expected.md5}: one of them was changed"


def parsed(
    place: Place, name: str, read: Callable[[Any], Read], what: str, expected: Expected | None = None
) -> Iterator[Read]:
    """What `read` makes of each line's JSON. Raises as `lines` does, and ConfigError that names a line which is no JSON
    or for which `read` raises ValueError, KeyError or TypeError: `what` says what it should be."""
    for number, line in lines(place, name, expected):
        try:
            found = read(json.loads(line))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise ConfigError(f"{place.shown(name)}:{number}: the line is no {what}: {fault_of(error)}") from None
        yield found


def fault_of(error: Exception) -> str:
    """What is wrong with a line or entry of which reading raised this."""
    match error:
        case json.JSONDecodeError():
            return f"it is no JSON: {error}"[:200]
        case RecursionError():
            return "it is nested too deep"
        case KeyError():
            return f"it has no {error}"[:200]
        case AttributeError() | TypeError():
            return "something in it has another type"
    return str(error)[:200]
