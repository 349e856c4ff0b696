"""HTTP/1.1 messages as bytes: read whole from a stream, and passed on as they are."""

import asyncio
import gzip
import re
import zlib
from dataclasses import dataclass
from functools import cached_property

MOST_HEAD = 1 << 16
MOST_TEXT = 1 << 20
"""Of a compressed body, bytes that are looked at."""

_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]+)", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[^\r]*chunked", re.IGNORECASE)
_EXPECT = re.compile(rb"\r\nexpect:[ \t]*100-continue", re.IGNORECASE)
_TARGET = re.compile(rb"\r\nx-amz-target:[ \t]*[^\r.]*\.([A-Za-z]+)", re.IGNORECASE)
_SCOPE = re.compile(rb"Credential=[^/\s]+/[0-9]{8}/([a-z0-9-]+)/([a-z0-9-]+)/")
_GZIP = re.compile(rb"\r\ncontent-encoding:[ \t]*gzip", re.IGNORECASE)
_LAST = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@dataclass(frozen=True)
class Message:
    """`head` ends with an empty line; `body` is as it was sent, in chunks if it was."""

    head: bytes
    body: bytes

    @property
    def raw(self) -> bytes:
        """As it goes over the wire."""
        return self.head + self.body

    @property
    def last(self) -> bool:
        """Whether the connection ends with it."""
        return bool(_LAST.search(self.head)) or self.head.startswith(b"HTTP/1.0")

    @property
    def status(self) -> int:
        """Of an answer."""
        return int(self.head.split(b" ", 2)[1])

    @property
    def line(self) -> str:
        """The first one, without the version: of a request its method and path."""
        return self.head.split(b"\r\n", 1)[0].rpartition(b" ")[0].decode(errors="replace")

    @property
    def operation(self) -> str:
        """What a request asks for: the operation of a JSON protocol, or else method and path."""
        target = _TARGET.search(self.head)
        return target[1].decode() if target else self.line.partition("?")[0]

    @property
    def region(self) -> str:
        """That a request is signed for; empty if it is not signed."""
        scope = _SCOPE.search(self.head)
        return scope[1].decode() if scope else ""

    @property
    def service(self) -> str:
        """That a request is signed for; empty if it is not signed."""
        scope = _SCOPE.search(self.head)
        return scope[2].decode() if scope else ""

    @cached_property
    def text(self) -> bytes:
        """The body without its compression, at most MOST_TEXT bytes of a compressed one."""
        body = _unchunked(self.body) if _CHUNKED.search(self.head) else self.body
        if not _GZIP.search(self.head):
            return body
        try:
            return zlib.decompressobj(16 + zlib.MAX_WBITS).decompress(body, MOST_TEXT)
        except (zlib.error, gzip.BadGzipFile):
            return body


async def request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Message | None:
    """The next one; None if there is none. A client that waits for leave to send its body gets it here."""
    head = await _head(reader)
    if head is None:
        return None
    if _EXPECT.search(head):
        head = _EXPECT.sub(b"", head)
        writer.write(CONTINUE)
    return Message(head, await _body(reader, head))


async def answer(reader: asyncio.StreamReader, asked: Message) -> Message | None:
    """To a request; None if the connection ended before."""
    while True:
        head = await _head(reader)
        if head is None:
            return None
        if not head.startswith((b"HTTP/1.1 1", b"HTTP/1.0 1")):
            break
    status = int(head.split(b" ", 2)[1])
    if asked.head.startswith(b"HEAD ") or status in (204, 304):
        return Message(head, b"")
    if _LENGTH.search(head) or _CHUNKED.search(head):
        return Message(head, await _body(reader, head))
    return Message(head.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"), await reader.read())


async def _head(reader: asyncio.StreamReader) -> bytes | None:
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
        return None


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    if _CHUNKED.search(head):
        return await _chunks(reader)
    length = _LENGTH.search(head)
    return await reader.readexactly(int(length[1])) if length and length[1] != b"0" else b""


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    parts: list[bytes] = []
    while True:
        size = await reader.readuntil(b"\r\n")
        many = int(size.partition(b";")[0], 16)
        parts += [size, await reader.readexactly(many + 2)] if many else [size]
        if not many:
            while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
                parts.append(line)
            return b"".join([*parts, b"\r\n"])


def _unchunked(body: bytes) -> bytes:
    parts: list[bytes] = []
    at = 0
    while True:
        end = body.index(b"\r\n", at)
        many = int(body[at:end].partition(b";")[0], 16)
        if not many:
            return b"".join(parts)
        parts.append(body[end + 2 : end + 2 + many])
        at = end + 4 + many
