"""Another region's distance on one machine: `python -m local.distance UPSTREAM REGION=MILLISECONDS ...`.

An emulator answers for every region at one address. Which one a connection is for is shown by the region that its first
request is signed for (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-signing-elements.html): its bytes
take half of the region's milliseconds each way, its handshake all of them; what is for other regions passes at once.
What is under way on one connection holds up no other, and how much is under way changes no delay.
"""

import argparse
import asyncio
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from local.emulators import HOST
from local.errors import LocalError
from local.processes import TETHER, Child

CHUNK = 1 << 16
HEAD_BYTES = 1 << 16
_SCOPE = re.compile(rb"Credential=[^/\s]+/[0-9]{8}/([a-z0-9-]+)/")


@contextmanager
def far(upstream: str, milliseconds: Mapping[str, float]) -> Iterator[str]:
    """The address of a proxy in a process of its own, while the block runs. LocalError if it does not come up."""
    regions = [f"{region}={delay:g}" for region, delay in milliseconds.items()]
    root = str(Path(__file__).resolve().parents[1])
    with tempfile.TemporaryDirectory(prefix="distributary-") as home:
        command = [sys.executable, str(TETHER), ":".join([root, *sys.path]), "local.distance", upstream, *regions]
        child = Child(command, {"PATH": ""}, Path(home), subprocess.PIPE)
        try:
            said = child.output.readline().decode(errors="replace").strip()
            if not said.startswith("http://"):
                raise LocalError(f"the proxy before {upstream} did not come up: {said or 'it said nothing'}")
            yield said
        finally:
            child.stop()


class Distance:
    """Listens on a free port of 127.0.0.1. `delays` are whole round trips, in seconds, by region."""

    def __init__(self, host: str, port: int, delays: Mapping[str, float]) -> None:
        self._host, self._port, self._delays = host, port, delays

    async def serve(self) -> None:
        """Until it is cancelled; says its address first."""
        server = await asyncio.start_server(self._connected, HOST, 0, limit=HEAD_BYTES, backlog=1024)
        print(f"http://{HOST}:{server.sockets[0].getsockname()[1]}", flush=True)
        async with server:
            await server.serve_forever()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
            writer.close()
            return
        scope = _SCOPE.search(head)
        delay = self._delays.get(scope[1].decode(), 0.0) if scope else 0.0
        try:
            await asyncio.sleep(delay)
            there, away = await asyncio.open_connection(self._host, self._port)
        except OSError:
            writer.close()
            return
        out = asyncio.create_task(_carry(reader, away, delay / 2, head))
        await asyncio.gather(out, _carry(there, writer, delay / 2), return_exceptions=True)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float, first: bytes = b"") -> None:
    """Each piece arrives so long after it was sent, in order, however many are under way."""
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
    if first:
        under_way.put_nowait((loop.time() + delay, first))

    async def arrive() -> None:
        while True:
            due, piece = await under_way.get()
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            if not piece:
                break
            writer.write(piece)
            await writer.drain()
        writer.close()

    arriving = asyncio.create_task(arrive())
    try:
        while piece := await reader.read(CHUNK):
            under_way.put_nowait((loop.time() + delay, piece))
    except ConnectionError:
        pass
    under_way.put_nowait((loop.time() + delay, b""))
    await asyncio.gather(arriving, return_exceptions=True)


def main(arguments: Sequence[str]) -> int:
    """Runs until its parent goes."""
    parser = argparse.ArgumentParser("local.distance", description=__doc__)
    parser.add_argument("upstream", help="such as http://127.0.0.1:4566")
    parser.add_argument("regions", nargs="+", metavar="REGION=MILLISECONDS")
    options = parser.parse_args(arguments)
    address = urlsplit(options.upstream)
    pairs = (each.split("=", 1) for each in options.regions)
    delays = {region: float(milliseconds) / 1000 for region, milliseconds in pairs}
    asyncio.run(Distance(address.hostname or HOST, address.port or 80, delays).serve())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
