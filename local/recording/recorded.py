"""Has functions' processes write down their requests, and sends them through the proxy while a fault is to come."""

import json
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from local.emulators import HOST
from local.errors import LocalError
from local.processes import TETHER, Child
from local.recording import pieces
from local.recording.faults import KINDS, Fault
from local.recording.pieces import Exchange
from local.recording.tap import VARIABLE

SERVICES = ("AWS_ENDPOINT_URL", "OPENSEARCH_ENDPOINT")
"""Variables of a function's environment that name a service's address."""

SECONDS = 10.0
LIMIT = 200
"""Requests that are shown at once."""

PROCESSES = 16
"""Of all functions, those whose requests are remembered; each has at most 8 MB on the disk."""

CRASHES = 100
"""Faults that ended a function, and that its requests can name."""


class Recorded:
    """Requests that functions make while the block of `recording` runs. `crash` ends what a function is doing, and
    `renew` has a function's later invocations run in new processes."""

    def __init__(self, home: Path, port: int, secret: str) -> None:
        self._home, self._port, self._secret = home, port, secret
        self._lock = threading.Lock()
        self._numbers = count(1)
        self._processes: deque[tuple[str, Path]] = deque()
        self._through_proxy: set[str] = set()
        self._faulting = threading.Lock()
        self._crashes: deque[dict[str, Any]] = deque(maxlen=CRASHES)
        self.crash: Callable[[str], object] = lambda _: None
        self.renew: Callable[[str], object] = lambda _: None

    def through(self, function: str, environment: Mapping[str, str]) -> dict[str, str]:
        """The environment of a new process of a function. What it says to a service behind TLS is not written down,
        and passes no proxy."""
        found = dict(environment)
        plain = [name for name in SERVICES if found.get(name, "").startswith("http://")]
        for name in plain if function in self._through_proxy else ():
            port = self._ask({"do": "listen", "function": function, "upstream": found[name]})
            found[name] = f"http://{HOST}:{port}"
        ports = {str(urlsplit(found[name]).port or 80) for name in plain}
        return {**found, VARIABLE: f"{self._path(function)}:{','.join(sorted(ports))}"} if ports else found

    def _path(self, function: str) -> Path:
        """Of a new process. Those of the oldest processes are forgotten."""
        with self._lock:
            path = self._home / f"{function}-{next(self._numbers)}"
            self._processes.append((function, path))
            while len(self._processes) > PROCESSES:
                _, old = self._processes.popleft()
                for turn in "01":
                    Path(f"{old}.{turn}").unlink(missing_ok=True)
            return path

    def requests(
        self, functions: Sequence[str], spans: Sequence[tuple[float, float]], words: Sequence[Sequence[str]] = ()
    ) -> list[dict[str, Any]]:
        """See `pieces.find`."""
        with self._lock:
            processes = [each for each in self._processes if each[0] in functions]
        found = [exchange for function, path in processes for exchange in pieces.of_process(function, path)]
        found = sorted(map(self._crashed, found), key=lambda each: each.began)
        return pieces.find(found, spans, [[word.encode() for word in group] for group in words], LIMIT)

    def _crashed(self, exchange: Exchange) -> Exchange:
        """With the fault that left it without an answer, if one did."""
        if exchange.answered is not None or not self._crashes:
            return exchange
        digest = exchange.asked.digest
        faults = (
            each["fault"] for each in list(self._crashes) if each["request"] == digest and each["at"] >= exchange.began
        )
        return replace(exchange, crash=next(faults, ""))

    def fault(self, fault: Fault) -> list[dict[str, Any]]:
        """Causes a fault, and answers all that have not happened yet. Raises LocalError for one that is none."""
        if fault.kind not in KINDS:
            raise LocalError(f"there is no fault '{fault.kind}': give one of {', '.join(KINDS)}")
        if not (1 <= fault.left <= 10_000 and 0 <= fault.milliseconds <= 60_000):
            raise LocalError("give a fault 1 to 10,000 requests, and at most 60,000 milliseconds")
        with self._faulting:
            found: list[dict[str, Any]] = self._ask({"do": "fault", "fault": fault.as_json()})
            if fault.function not in self._through_proxy:
                self._through_proxy.add(fault.function)
                self.renew(fault.function)
        return found

    def clear(self, function: str) -> list[dict[str, Any]]:
        """Takes a function's faults back; the others that have not happened yet."""
        return self._due({"do": "clear", "function": function})

    def faults(self) -> list[dict[str, Any]]:
        """Those that have not happened yet."""
        return self._due({"do": "faults"})

    def _due(self, order: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Functions that no fault is to come for ask their services again without the proxy."""
        with self._faulting:
            due: list[dict[str, Any]] = self._ask(order)
            for function in self._through_proxy - {each["function"] for each in due}:
                self._through_proxy.discard(function)
                self.renew(function)
        return due

    def _ask(self, order: Mapping[str, Any]) -> Any:
        try:
            with socket.create_connection((HOST, self._port), timeout=SECONDS) as connection:
                connection.sendall(json.dumps({"secret": self._secret, **order}).encode() + b"\n")
                with connection.makefile("rb") as answer:
                    return json.loads(answer.readline())
        except (OSError, ValueError) as error:
            raise LocalError(f"the proxy that causes faults does not answer: {error}") from None

    def listen(self, output: Any) -> None:
        """Carries out what the proxy says, until it ends."""
        for line in output:
            said = json.loads(line)
            self._crashes.append(said)
            self.crash(said["crash"])


@contextmanager
def recording() -> Iterator[Recorded]:
    """The proxy, in a process of its own, and a folder for what is written down, while the block runs. LocalError if
    the proxy does not come up."""
    secret, root = secrets.token_urlsafe(32), str(Path(__file__).resolve().parents[2])
    with tempfile.TemporaryDirectory(prefix="distributary-") as home:
        command = [sys.executable, str(TETHER), ":".join([root, *sys.path]), "local.recording.proxy"]
        child = Child(command, {"PATH": "", "SECRET": secret}, Path(home), subprocess.PIPE)
        try:
            said = child.output.readline().decode(errors="replace").strip()
            if not said.isdigit():
                raise LocalError(f"the proxy that causes faults did not come up: {said or 'it said nothing'}")
            recorded = Recorded(Path(home), int(said), secret)
            threading.Thread(target=recorded.listen, args=(child.output,), daemon=True, name="recorded").start()
            yield recorded
        finally:
            child.stop()
