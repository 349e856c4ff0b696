"""Mail of the outbox on the page: as text, and its HTML in a frame that may do nothing."""

import secrets
import threading
from collections import OrderedDict
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

MOST = 100
"""Frames that may be open."""

BYTES = 1 << 20
POLICY = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
"""Mail is styled by itself, and may neither run a script nor ask anybody for anything."""


class Mails:
    """A frame can send no token, so its address is a secret that the page was given."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Path] = OrderedDict()

    def shown(self, file: Path) -> dict[str, Any]:
        """The text with its head, and the address of its HTML; empty if it has none."""
        page = file.with_suffix(".html")
        text = file.read_bytes()[:BYTES].decode(errors="replace")
        return {"text": text, "frame": f"mail/{self._name(page)}" if page.exists() else ""}

    def _name(self, page: Path) -> str:
        """The same one for the same file, so that an open frame stays as it is."""
        with self._lock:
            for name, known in self._known.items():
                if known == page:
                    return name
            name = secrets.token_urlsafe(24)
            self._known[name] = page
            while len(self._known) > MOST:
                self._known.popitem(last=False)
            return name

    async def endpoint(self, request: Request) -> Response:
        """GET mail/NAME."""
        with self._lock:
            page = self._known.get(request.path_params["name"])
        if page is None or not page.exists():
            return PlainTextResponse("there is no such mail", 404)
        content = page.read_bytes()[:BYTES]
        return Response(content, media_type="text/html; charset=utf-8", headers={"Content-Security-Policy": POLICY})
