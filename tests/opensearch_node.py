"""Runs a command with OPENSEARCH_URL set: the user's own node, or one started here from Maven Central and ended after.

python tests/opensearch_node.py COMMAND [ARGUMENT ...]
"""

import json
import os
import shutil
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

VERSION = "2.19.3"
ARTIFACT = f"org.opensearch.distribution.integ-test-zip:opensearch:{VERSION}:zip"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
CACHE = Path(__file__).resolve().parents[1] / ".build" / "opensearch"
HEAP = "-Xms512m -Xmx512m"
START_SECONDS = 120
UNPRIVILEGED = "nobody"
CONTROL = "OPENSEARCH_NODE_CONTROL"
"""Set beside OPENSEARCH_URL if the node was started here, so that tests may restart it."""


class NoNode(Exception):
    """Why no node is there, and what would mend it; one line."""


def distribution() -> Path:
    """The zip, fetched once."""
    zipped = CACHE / f"opensearch-{VERSION}.zip"
    if zipped.exists():
        return zipped
    for tool in ("mvn", "java"):
        if not shutil.which(tool):
            raise NoNode(f"`{tool}` is not on the PATH: install it, or set OPENSEARCH_URL to a node of your own")
    command = ["mvn", "-q", "-B", COPY, f"-Dartifact={ARTIFACT}", f"-DoutputDirectory={CACHE}"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode or not zipped.exists():
        raise NoNode(f"Maven could not fetch {ARTIFACT}: {(done.stdout + done.stderr).strip()[-300:]}")
    return zipped


class Node:
    """A single node with 512 MB of heap on 127.0.0.1. Its data outlive `stop` and `kill`, and go with the folder."""

    def __init__(self, folder: Path) -> None:
        self._home, self._log = _unpacked(distribution(), folder), folder / "node.log"
        port, transport = _free_port(), _free_port()
        settings = {
            "network.host": "127.0.0.1",
            "http.port": port,
            "transport.port": transport,
            "discovery.type": "single-node",
            "cluster.routing.allocation.disk.threshold_enabled": "false",
            "path.repo": str(self._home / "repo"),
        }
        self._arguments = [f"-E{name}={value}" for name, value in settings.items()]
        self._process: subprocess.Popen | None = None
        self.url = f"http://127.0.0.1:{port}"

    def start(self) -> None:
        """Returns once it answers. Raises NoNode."""
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [str(self._home / "bin" / "opensearch"), *self._arguments],
                env={**os.environ, "OPENSEARCH_JAVA_OPTS": HEAP, "OPENSEARCH_JAVA_HOME": _java_home()},
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._home,
                start_new_session=True,
                **_unprivileged(),
            )
        _wait(self.url, self._process, self._log)

    def stop(self) -> None:
        """In order, as a deployment ends it."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(30)

    def kill(self) -> None:
        """As a machine that fails ends it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)


@contextmanager
def node() -> Iterator[Node]:
    """A node, started."""
    with tempfile.TemporaryDirectory(prefix="opensearch-") as folder:
        one = Node(Path(folder))
        try:
            one.start()
            yield one
        finally:
            one.stop()


@contextmanager
def controlled(one: Node) -> Iterator[str]:
    """Where the command's tests may have their node ended and started again: see `order`."""

    class Orders(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            word = self.rfile.readline().decode().strip()
            try:
                {"start": one.start, "stop": one.stop, "kill": one.kill}[word]()
                self.wfile.write(b"done\n")
            except Exception as error:  # noqa: BLE001  it is the test that must hear of it
                self.wfile.write(f"{error}\n".encode())

    with socketserver.TCPServer(("127.0.0.1", 0), Orders) as server:
        threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def order(word: str) -> None:
    """Ends the tests' own node (`stop`, `kill`) or starts it again (`start`), and waits until that is done."""
    host, port = os.environ[CONTROL].split(":")
    with socket.create_connection((host, int(port)), timeout=START_SECONDS + 60) as connection:
        connection.sendall(f"{word}\n".encode())
        said = connection.makefile().readline().strip()
    if said != "done":
        raise NoNode(f"{word}: {said}")


def _unpacked(zipped: Path, folder: Path) -> Path:
    with zipfile.ZipFile(zipped) as archive:
        archive.extractall(folder)
    home = folder / f"opensearch-{VERSION}"
    for script in (home / "bin").iterdir():
        script.chmod(0o755)
    folder.chmod(0o755)
    if os.geteuid() == 0:
        for path in [home, *home.rglob("*")]:
            shutil.chown(path, UNPRIVILEGED)
    return home


def _unprivileged() -> dict[str, Any]:
    """OpenSearch refuses to run as root."""
    return {"user": UNPRIVILEGED, "extra_groups": []} if os.geteuid() == 0 else {}


def _java_home() -> str:
    java = shutil.which("java")
    return os.environ.get("JAVA_HOME") or str(Path(java or "/usr/bin/java").resolve().parents[1])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str, process: subprocess.Popen, log: Path) -> None:
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/_cluster/health?wait_for_status=yellow&timeout=5s") as answer:
                if json.load(answer)["status"] in ("yellow", "green"):
                    return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.5)
    raise NoNode(f"OpenSearch {VERSION} did not come up: {log.read_text()[-500:]}")


def main() -> int:
    """The command's own exit status, or 1 with one line."""
    command = sys.argv[1:]
    if os.environ.get("OPENSEARCH_URL"):
        return subprocess.run(command).returncode
    try:
        with node() as one, controlled(one) as control:
            return subprocess.run(command, env={**os.environ, "OPENSEARCH_URL": one.url, CONTROL: control}).returncode
    except NoNode as error:
        print(error, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
