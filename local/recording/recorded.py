"""Starts the proxy, sends functions through it, and asks it what they requested."""

import json
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.emulators import HOST
from local.errors import LocalError
from local.processes import TETHER, Child
from local.recording.faults import KINDS, Fault

SERVICES = ("AWS_ENDPOINT_URL", "OPENSEARCH_ENDPOINT")
"""Variables of a function's environment that name a service's address."""

SECONDS = 10.0
LIMIT = 200
"""Requests that are shown at once."""


class Recorded:
    """Requests that functions make while the block of `recording` runs. `crash`: ends what a function is doing."""

    def __init__(self, port: int, secret: str) -> None:
        self._port, self._secret = port, secret
        self.crash: Callable[[str], object] = lambda _: None

    def through(self, function: str, environment: Mapping[str, str]) -> dict[str, str]:
        """The environment with which a function's requests pass the proxy. A service behind TLS is asked as before."""
        found = dict(environment)
        for name in SERVICES:
            if found.get(name, "").startswith("http://"):
                port = self._ask({"do": "listen", "function": function, "upstream": found[name]})
                found[name] = f"http://{HOST}:{port}"
        return found

    def requests(
        self, functions: Sequence[str], spans: Sequence[Sequence[float]], words: Sequence[Sequence[str]] = ()
    ) -> list[dict[str, Any]]:
        """See `Ring.find`. Raises LocalError."""
        order = {"do": "requests", "functions": list(functions), "spans": list(spans), "words": list(words)}
        found: list[dict[str, Any]] = self._ask({**order, "limit": LIMIT})
        return found

    def fault(self, fault: Fault) -> list[dict[str, Any]]:
        """Causes a fault, and answers all that have not happened yet. Raises LocalError for one that is none."""
        if fault.kind not in KINDS:
            raise LocalError(f"there is no fault '{fault.kind}': give one of {', '.join(KINDS)}")
        if not (1 <= fault.left <= 10_000 and 0 <= fault.milliseconds <= 60_000):
            raise LocalError("give a fault 1 to 10,000 requests, and at most 60,000 milliseconds")
        found: list[dict[str, Any]] = self._ask({"do": "fault", "fault": fault.as_json()})
        return found

    def clear(self, function: str) -> list[dict[str, Any]]:
        """Takes a function's faults back; the others that have not happened yet."""
        found: list[dict[str, Any]] = self._ask({"do": "clear", "function": function})
        return found

    def faults(self) -> list[dict[str, Any]]:
        """Those that have not happened yet."""
        found: list[dict[str, Any]] = self._ask({"do": "faults"})
        return found

    def _ask(self, order: Mapping[str, Any]) -> Any:
        try:
            with socket.create_connection((HOST, self._port), timeout=SECONDS) as connection:
                connection.sendall(json.dumps({"secret": self._secret, **order}).encode() + b"\n")
                with connection.makefile("rb") as answer:
                    return json.loads(answer.readline())
        except (OSError, ValueError) as error:
            raise LocalError(f"the proxy that records requests does not answer: {error}") from None

    def listen(self, output: Any) -> None:
        """Carries out what the proxy says, until it ends."""
        for line in output:
            self.crash(json.loads(line)["crash"])


@contextmanager
def recording() -> Iterator[Recorded]:
    """The proxy, in a process of its own while the block runs. LocalError if it does not come up."""
    secret, root = secrets.token_urlsafe(32), str(Path(__file__).resolve().parents[2])
    with tempfile.TemporaryDirectory(prefix="distributary-") as home:
        command = [sys.executable, str(TETHER), ":".join([root, *sys.path]), "local.recording.proxy"]
        child = Child(command, {"PATH": "", "SECRET": secret}, Path(home), subprocess.PIPE)
        try:
            said = child.output.readline().decode(errors="replace").strip()
            if not said.isdigit():
                raise LocalError(f"the proxy that records requests did not come up: {said or 'it said nothing'}")
            recorded = Recorded(int(said), secret)
            threading.Thread(target=recorded.listen, args=(child.output,), daemon=True, name="recorded").start()
            yield recorded
        finally:
            child.stop()
