"""A region's way to all others: an HTTP proxy before the emulator that cuts it, loses answers, and counts writes."""

import http.client
import json
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from random import Random
from typing import Any
from urllib.parse import urlsplit

from local.loopback import LoopbackServer

WRITES = ("PutItem", "DeleteItem")
_REGION = re.compile(r"Credential=[^/\s]+/[0-9]{8}/([a-z0-9-]+)/")
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


class RegionProxy(LoopbackServer):
    """Requests that are signed for a region in `cut` find nobody. Of the writes, a share of `losing` takes effect and
    is never answered. `written` counts those that took effect, by region and table; `refused` and `lost` what came to
    nothing, and what was never answered."""

    def __init__(self, upstream: str, random: Random) -> None:
        super().__init__(Handler)
        at = urlsplit(upstream)
        self.upstream = at.hostname or "127.0.0.1", at.port or 80
        self.cut: set[str] = set()
        self.losing = 0.0
        self.written: Counter[tuple[str, str]] = Counter()
        self.refused = self.lost = 0
        self._random, self._lock = random, threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def refuses(self, region: str) -> bool:
        with self._lock:
            self.refused += region in self.cut
            return region in self.cut

    def loses(self, region: str, table: str) -> bool:
        """Told of a write that took effect."""
        with self._lock:
            self.written[region, table] += 1
            lost = self._random.random() < self.losing
            self.lost += lost
            return lost

    @contextmanager
    def serving(self) -> Iterator["RegionProxy"]:
        thread = threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


class Handler(BaseHTTPRequestHandler):
    """One connection, and the one that it leads to."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True
    server: RegionProxy
    upstream: http.client.HTTPConnection | None = None

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        found = _REGION.search(self.headers.get("Authorization", ""))
        region = found[1] if found else ""
        if self.server.refuses(region):
            self.close_connection = True
            return
        status, headers, content = self._forwarded(body)
        operation = self.headers.get("X-Amz-Target", "").rpartition(".")[2]
        took_effect = status == 200 and operation in WRITES
        if took_effect and self.server.loses(region, json.loads(body)["TableName"]):
            self.close_connection = True
            return
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _serve

    def handle_expect_100(self) -> bool:
        """At once: botocore waits a second for it before it sends a body to S3."""
        goes_on = super().handle_expect_100()
        self.wfile.flush()
        return goes_on

    def _forwarded(self, body: bytes) -> tuple[int, dict[str, str], bytes]:
        if self.upstream is None:
            self.upstream = http.client.HTTPConnection(*self.server.upstream, timeout=60)
        kept = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        self.upstream.request(self.command, self.path, body, kept)
        answer = self.upstream.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()

    def finish(self) -> None:
        super().finish()
        if self.upstream is not None:
            self.upstream.close()

    def log_message(self, *_: Any) -> None:
        """Nothing is said."""
