"""HTTP/1.1 responses, put together from the pieces that arrive.

https://www.rfc-editor.org/rfc/rfc9112
"""

import re
import zlib

from distributary.stream.struct import Struct

HEAD_BYTES = 1 << 16
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: |\r\n)")
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,12})[ \t]*\r\n", re.IGNORECASE).search
_CHUNKED = re.compile(rb"\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n", re.IGNORECASE).search
_CLOSE = re.compile(rb"\r\nconnection:[ \t]*close[ \t]*\r\n", re.IGNORECASE).search
_KEEP = re.compile(rb"\r\nconnection:[ \t]*keep-alive[ \t]*\r\n", re.IGNORECASE).search
_SIZE = re.compile(rb"([0-9a-fA-F]{1,8})[ \t]*(?:;.*)?$", re.DOTALL)
_CHECKSUM = re.compile(rb"\r\nx-amz-crc32:[ \t]*([0-9]{1,10})[ \t]*\r\n", re.IGNORECASE).search


class Response(Struct, frozen=True):
    """A whole response. `reusable`: the connection can carry another request."""

    status: int
    content: bytes
    reusable: bool


class ResponseReader:
    """Reads one response."""

    def __init__(self) -> None:
        self._head = b""
        self._pieces: list[bytes] = []
        self._held = 0
        self._needed: int | None = None

    @property
    def begun(self) -> bool:
        """Whether anything arrived."""
        return bool(self._held or self._head)

    def feed(self, piece: bytes) -> Response | None:
        """The response once it is whole. An empty piece is the end of the connection.

        Raises ValueError for what is no response, and ConnectionError for half of one.
        """
        if piece:
            self._pieces.append(piece)
            self._held += len(piece)
            if self._needed is not None and self._held < self._needed:
                return None
        content = b"".join(self._pieces)
        self._pieces = [content]
        return self._in_body(content, not piece) if self._head else self._in_head(content, not piece)

    def _in_head(self, content: bytes, ended: bool) -> Response | None:
        end = content.find(b"\r\n\r\n")
        if end < 0:
            if ended:
                raise ConnectionError("the connection ended before the response")
            if len(content) > HEAD_BYTES or not b"HTTP/1.".startswith(content[:7]):
                raise ValueError("no response of HTTP/1.1")
            return None
        head, rest = content[: end + 2], content[end + 4 :]
        found = _STATUS.match(head)
        if found is None:
            raise ValueError("no response of HTTP/1.1")
        self._pieces, self._held = [rest], len(rest)
        if found[2].startswith(b"1"):
            return self._in_head(rest, ended)
        self._head, self._status = head, int(found[2])
        self._kept = not _CLOSE(head) if found[1] == b"1" else bool(_KEEP(head))
        return self._in_body(rest, ended)

    def _in_body(self, content: bytes, ended: bool) -> Response | None:
        if self._status in (204, 304):
            return self._whole(b"", content)
        if _CHUNKED(self._head):
            whole = _chunks(content)
            if whole is not None:
                return self._whole(*whole)
        elif length := _LENGTH(self._head):
            self._needed = int(length[1])
            if len(content) >= self._needed:
                return self._whole(content[: self._needed], content[self._needed :])
        elif ended:
            self._kept = False
            return self._whole(content, b"")
        if ended:
            raise ConnectionError("the connection ended within the response")
        return None

    def _whole(self, content: bytes, rest: bytes) -> Response:
        checksum = _CHECKSUM(self._head)
        if checksum and int(checksum[1]) != zlib.crc32(content):
            raise ValueError("the response is not what its checksum says")
        return Response(self._status, content, self._kept and not rest)


def _chunks(content: bytes) -> tuple[bytes, bytes] | None:
    """The content, and what follows it; None if more has to come."""
    whole: list[bytes] = []
    at = 0
    while (end := content.find(b"\r\n", at)) >= 0:
        found = _SIZE.match(content, at, end)
        if found is None:
            raise ValueError("a chunk of no size")
        size = int(found[1], 16)
        if size == 0:
            trailer = content.find(b"\r\n\r\n", end)
            return None if trailer < 0 else (b"".join(whole), content[trailer + 4 :])
        at = end + 2 + size + 2
        if len(content) < at:
            return None
        if content[at - 2 : at] != b"\r\n":
            raise ValueError("a chunk is longer than it says")
        whole.append(content[end + 2 : at - 2])
    if len(content) - at > 64:
        raise ValueError("a chunk of no size")
    return None
