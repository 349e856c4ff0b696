"""Processor time of a conditional write over TLS, by what sends it: `python -m bench.transports [PEER ...]`.

The server is a process of its own. It answers at once, or after 80 ms. pycurl and awscrt are measured where they are
installed; the project needs neither.
"""

import asyncio
import json
import os
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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


class _Answering(asyncio.Protocol):
    """Reads requests one after the other. Those that are signed for `REGION` are answered after the delay."""

    def __init__(self, delay: float) -> None:
        self._delay, self._held = delay, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Of asyncio.Protocol."""
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Of asyncio.Protocol."""
        self._held += data
        end = self._held.find(b"\r\n\r\n")
        if end < 0:
            return
        head = self._held[:end].lower()
        length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
        if len(self._held) >= end + 4 + length:
            said = _answer(head, self._held[end + 4 :])
            delay, self._held = self._delay if b"/%b/" % REGION.encode() in head else 0.0, b""
            asyncio.get_running_loop().call_later(delay, self._transport.write, said)  # type: ignore[attr-defined]


def _answer(head: bytes, body: bytes) -> bytes:
    """Every write succeeds, and nothing is there."""
    if b"dynamodb_20120810.batch" in head:
        tables = json.loads(body)["RequestItems"]
        said = json.dumps({"Responses": {name: [] for name in tables}, "UnprocessedKeys": {}, "UnprocessedItems": {}})
    elif b"dynamodb_20120810.scan" in head:
        said = '{"Items":[],"Count":0}'
    else:
        return ANSWER
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said.encode())


async def _serve(trusted: str, delay: float) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted, Path(trusted).with_suffix(".key"))
    running = asyncio.get_running_loop()
    server = await running.create_server(lambda: _Answering(delay), "127.0.0.1", 0, ssl=context, backlog=1024)
    print(f"https://localhost:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(_serve(sys.argv[2], float(sys.argv[3])))
    else:
        sys.exit(main(sys.argv[1:]))
