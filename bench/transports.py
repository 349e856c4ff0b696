"""Processor time of a conditional write over TLS, by what sends it: `python -m bench.transports [PEER ...]`.

The server is a process of its own. It answers at once, or after 80 ms. pycurl and awscrt are measured where they are
installed; the project needs neither.
"""

import json
import os
import selectors
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.transport_peers import PEERS, REGION, arguments

ROOT = Path(__file__).resolve().parents[1]
CONNECTIONS, ROUNDS, WRITES, IN_TURN = 100, 5, 1000, 40
SIZES, DELAYS = (3000, 750), (0.0, 0.08)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: 2\r\n\r\n{}"


def main(names: Sequence[str]) -> int:
    """Prints a row for each peer, size and delay: microseconds of processor time, and writes a second."""
    with tempfile.TemporaryDirectory() as folder:
        trusted = certificate(Path(folder))
        os.environ["AWS_CA_BUNDLE"] = trusted
        for delay in DELAYS:
            with serving(trusted, delay) as url:
                for size in SIZES:
                    for name in names or PEERS:
                        print(f"{name:28} {size:5} bytes {delay * 1000:3.0f} ms", *_measured(name, url, trusted, size))
    return 0


def _measured(name: str, url: str, trusted: str, size: int) -> tuple[str, ...]:
    try:
        send = PEERS[name](url, trusted, CONNECTIONS, arguments(size))
    except ImportError as error:
        return (f"not measured: {error}",)
    many = IN_TURN if "after" in name else WRITES
    send(many)
    cpu, wall = [], []
    for _ in range(ROUNDS):
        began, used = time.perf_counter(), time.process_time()
        send(many)
        cpu.append((time.process_time() - used) / many * 1e6)
        wall.append(many / (time.perf_counter() - began))
    return (f"{statistics.median(cpu):8.0f} us (least {min(cpu):.0f})", f"{statistics.median(wall):8.0f}/s")


@contextmanager
def serving(trusted: str, delay: float) -> Iterator[str]:
    """The address of a server in a process of its own."""
    command = [sys.executable, "-m", "bench.transports", "--serve", trusted, str(delay)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert child.stdout is not None
    try:
        yield child.stdout.readline().strip()
    finally:
        child.kill()
        child.wait()


def certificate(folder: Path) -> str:
    """The file of a certificate of its own making for `localhost`, whose key is beside it."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - timedelta(days=1), now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    encoding = serialization.Encoding.PEM
    file = folder / "localhost.pem"
    plain = key.private_bytes(encoding, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    file.write_bytes(made.public_bytes(encoding))
    file.with_suffix(".key").write_bytes(plain)
    return str(file)


class _Peer:
    """One connection. It reads requests one after the other."""

    def __init__(self, socket: ssl.SSLSocket) -> None:
        self.socket, self._held, self._open = socket, b"", False

    def request(self) -> tuple[bytes, bytes] | None:
        """The head in lower case, and the body, once they are there. Raises OSError at the end of the connection."""
        try:
            if not self._open:
                self.socket.do_handshake()
                self._open = True
            while piece := self.socket.recv(1 << 18):
                self._held += piece
                head, found, body = self._held.partition(b"\r\n\r\n")
                head = head.lower()
                if found and len(body) >= int(head.partition(b"content-length:")[2].partition(b"\r\n")[0]):
                    self._held = b""
                    return head, body
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return None
        raise ConnectionError


def _said(head: bytes, body: bytes) -> bytes:
    """Every write succeeds, and nothing is there."""
    if b"dynamodb_20120810.batch" in head:
        tables = json.loads(body)["RequestItems"]
        said = json.dumps({"Responses": {name: [] for name in tables}, "UnprocessedKeys": {}, "UnprocessedItems": {}})
    elif b"dynamodb_20120810.scan" in head:
        said = '{"Items":[],"Count":0}'
    else:
        return ANSWER
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said.encode())


def _serve(trusted: str, delay: float) -> None:
    """One thread without asyncio, which would take twice the processor's time: a service takes none of the sender's.
    Requests that are signed for `REGION` are answered after the delay."""
    context, selector = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), selectors.DefaultSelector()
    context.load_cert_chain(trusted, Path(trusted).with_suffix(".key"))
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    listener.setblocking(False)
    selector.register(listener, selectors.EVENT_READ)
    print(f"https://localhost:{listener.getsockname()[1]}", flush=True)
    far, due = b"/%b/" % REGION.encode(), deque[tuple[float, _Peer, bytes]]()
    while True:
        ready = selector.select(max(0.0, due[0][0] - time.monotonic()) if due else None)
        for key, _ in ready:
            if key.data is None:
                for accepted in _accepted(listener):
                    made = context.wrap_socket(accepted, server_side=True, do_handshake_on_connect=False)
                    selector.register(made, selectors.EVENT_READ, _Peer(made))
                continue
            try:
                asked = key.data.request()
            except OSError:
                selector.unregister(key.data.socket)
                key.data.socket.close()
                continue
            if asked is not None and far in asked[0]:
                due.append((time.monotonic() + delay, key.data, _said(*asked)))
            elif asked is not None:
                key.data.socket.send(_said(*asked))
        while due and due[0][0] <= time.monotonic():
            _, peer, said = due.popleft()
            with suppress(OSError):
                peer.socket.send(said)


def _accepted(listener: socket.socket) -> Iterator[socket.socket]:
    with suppress(BlockingIOError):
        while True:
            accepted, _ = listener.accept()
            accepted.setblocking(False)
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield accepted


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        _serve(sys.argv[2], float(sys.argv[3]))
    else:
        sys.exit(main(sys.argv[1:]))
