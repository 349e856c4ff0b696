"""Embedded AWS and OpenSearch: ministack and osmem-server as child processes on 127.0.0.1."""

import os
import socket
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.errors import LocalError
from local.processes import TETHER, Child

HOST = "127.0.0.1"
_READY_SECONDS = 20.0
_ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Ports:
    """Fixed ports; None takes a free one."""

    aws: int | None = None
    opensearch: int | None = None


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where the embedded services answer."""

    aws: str
    opensearch: str


@contextmanager
def embedded(
    ports: Ports = Ports(), ready_seconds: float = _READY_SECONDS, outbox: Path | None = None
) -> Iterator[Endpoints]:
    """Both services while the block runs; sent mail is written into `outbox`. LocalError, and nothing left running, if
    one does not come up."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="distributary-")))
        services = [_ministack(home, port_for(ports.aws), outbox), _osmem(port_for(ports.opensearch))]
        children = [stack.enter_context(_started(service, home)) for service in services]
        for service, child in zip(services, children, strict=True):
            _await(service, child, home, time.monotonic() + ready_seconds)
        yield Endpoints(services[0].url, services[1].url)


@dataclass(frozen=True, slots=True)
class _Service:
    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    port: int
    probe: str

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


def port_for(wanted: int | None) -> int:
    """The wanted port if it is free, any free one if none is wanted."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, wanted or 0))
        except OSError as error:
            raise LocalError(
                f"port {wanted} of {HOST} is taken ({error.strerror}): end what listens there, or choose another port"
            ) from None
        return probe.getsockname()[1]


def _ministack(home: Path, port: int, outbox: Path | None) -> _Service:
    """In memory only; with short waits in state machines; without its SFTP and MQTT listeners; and without Docker,
    whose containers it would stop."""
    environment = {
        "PATH": os.environ.get("PATH", os.defpath),
        "HOME": str(home),
        "TMPDIR": str(home),
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_HOST": HOST,
        "LOG_LEVEL": "ERROR",
        "SFTP_ENABLED": "0",
        "IOT_MTLS_ENABLED": "0",
        "SFN_WAIT_SCALE": "0.01",
        "DOCKER_HOST": f"unix://{home}/no-docker.sock",
        **({"OUTBOX": str(outbox.resolve())} if outbox else {}),
    }
    command = [sys.executable, str(TETHER), str(_ROOT), "local.exact_ministack"]
    return _Service("ministack", command, environment, port, "/_ministack/health")


def _osmem(port: int) -> _Service:
    from osmem_server import resolve_binary

    command = [resolve_binary(), "--addr", f"{HOST}:{port}", "--no-ja"]
    return _Service("osmem-server", command, {"PATH": os.environ.get("PATH", os.defpath)}, port, "/")


@contextmanager
def _started(service: _Service, home: Path) -> Iterator[Child]:
    try:
        with _log(home, service).open("wb") as output:
            child = Child(service.command, service.environment, home, output)
    except OSError as error:
        raise LocalError(f"{service.name} cannot be started ({error}): remove .venv and run make again") from None
    try:
        yield child
    finally:
        child.stop()


def _log(home: Path, service: _Service) -> Path:
    return home / f"{service.name}.log"


def _await(service: _Service, child: Child, home: Path, until: float) -> None:
    """Returns once it answers. An answer by another program on its port does not count: then the child has ended."""
    while time.monotonic() < until:
        answers = _answers(service.url + service.probe)
        if not child.running():
            break
        if answers:
            return
        time.sleep(0.05)
    said = _log(home, service).read_text(errors="replace").split("\n")
    last = next((line.strip() for line in reversed(said) if line.strip()), "it said nothing")
    raise LocalError(
        f"{service.name} did not come up on {HOST}:{service.port} ({last}): choose another port, or free memory"
    )


def _answers(url: str) -> bool:
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=1) as response:
            return bool(response.status == 200)
    except (OSError, urllib.error.HTTPError):
        return False
