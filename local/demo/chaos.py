"""Faults that the demo injects: malformed records, TTL deletes, a search endpoint that is busy for a while."""

import http.client
import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import urlsplit

from local.loopback import LoopbackServer

TTL_USER = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}


class Poison:
    """Inserts a malformed copy after every `every`-th record of a mapping, and marks TTL deletes. A copy says that
    it is an INSERT, which every mapping's filter lets through.

    The demo's table has no TTL: the workload deletes expired items itself, so that the oracle knows when. A REMOVE
    whose old image had expired becomes a TTL delete.
    """

    def __init__(self, every: int, ttl_attribute: str) -> None:
        self._every, self._ttl = every, ttl_attribute
        self._lock = threading.Lock()
        self._seen = 0
        self.slipped_in = 0

    def __call__(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The records, with TTL deletes marked and malformed copies among them."""
        result = []
        for record in records:
            result.append(self._stamped(record))
            with self._lock:
                self._seen += 1
                if self._seen % self._every == 0:
                    result.append(self._malformed(record))
        return result

    def _malformed(self, record: dict[str, Any]) -> dict[str, Any]:
        self.slipped_in += 1
        body = {name: value for name, value in record["dynamodb"].items() if name != "Keys"}
        if self.slipped_in % 2:
            body["Keys"] = {"user_id": {"X": "no such type"}}
        return {**record, "eventID": f"{record['eventID']}-poison", "eventName": "INSERT", "dynamodb": body}

    def _stamped(self, record: dict[str, Any]) -> dict[str, Any]:
        old = record["dynamodb"].get("OldImage", {}).get(self._ttl, {}).get("N")
        if record["eventName"] != "REMOVE" or old is None:
            return record
        expired = int(old) <= record["dynamodb"]["ApproximateCreationDateTime"]
        return {**record, "userIdentity": TTL_USER} if expired else record


class BusyProxy:
    """A proxy of an HTTP endpoint that, while it is switched on, responds with a status of its own."""

    def __init__(self, target: str) -> None:
        self._target = urlsplit(target)
        self.status: int | None = None
        self.answered: Counter[int] = Counter()
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                status = proxy.status
                if status is None:
                    status, headers, content = proxy._forward(self.command, self.path, dict(self.headers), body)
                else:
                    headers = {"Content-Type": "application/json"}
                    content = json.dumps({"error": {"type": "busy", "reason": "on purpose"}, "status": status}).encode()
                proxy.answered[status] += 1
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: the report counts the answers."""

        self._server = LoopbackServer(Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def serving(self) -> Iterator["BusyProxy"]:
        """Runs in a thread of its own until the block ends."""
        threading.Thread(target=self._server.serve_forever, daemon=True, name="busy-proxy").start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()

    def _forward(
        self, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> tuple[int, dict[str, str], bytes]:
        connection = http.client.HTTPConnection(self._target.hostname or "127.0.0.1", self._target.port, timeout=30)
        try:
            kept = {name: value for name, value in headers.items() if name.lower() not in _HOP_BY_HOP}
            connection.request(method, path, body=body or None, headers=kept)
            answer = connection.getresponse()
            content = answer.read()
            passed = {name: value for name, value in answer.getheaders() if name.lower() not in _HOP_BY_HOP}
            return answer.status, passed, content
        finally:
            connection.close()
