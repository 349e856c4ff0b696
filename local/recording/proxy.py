"""The proxy's own process: `SECRET=... python -m local.recording.proxy`.

It says where it takes orders, one JSON object a line. Each function has a port of its own for each service, so that a
request's function is known. A function that is to crash is named on standard output, and waits for its end.
"""

import asyncio
import hmac
import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from local.emulators import HOST
from local.recording.carried import Client
from local.recording.faults import Fault, Faults
from local.recording.http import Message

_BROKEN = (ConnectionError, asyncio.IncompleteReadError, OSError, ValueError)


@dataclass(slots=True)
class Proxy:
    """Requests of functions that a fault is to come for pass it."""

    secret: str
    faults: Faults = field(default_factory=Faults)
    _servers: list[asyncio.Server] = field(default_factory=list)

    async def serve(self) -> None:
        """Until it is cancelled; says first where it takes orders."""
        server = await asyncio.start_server(self._ordered, HOST, 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        async with server:
            await server.serve_forever()

    async def _ordered(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One order."""
        with suppress(*_BROKEN):
            order = json.loads(await reader.readline())
            if hmac.compare_digest(str(order.get("secret", "")).encode(), self.secret.encode()):
                writer.write(json.dumps(await self._done(order)).encode() + b"\n")
                await writer.drain()
        writer.close()

    async def _done(self, order: Mapping[str, Any]) -> Any:
        match order["do"]:
            case "listen":
                return await self._listen(order["function"], order["upstream"])
            case "fault":
                self.faults.add(Fault(**order["fault"]))
            case "clear":
                self.faults.clear(order["function"])
        return [each.as_json() for each in self.faults.due()]

    async def _listen(self, function: str, upstream: str) -> int:
        """A port for a function's requests to a service."""
        place = urlsplit(upstream)

        def crash(fault: str, asked: Message) -> None:
            said = {"crash": function, "fault": fault, "request": asked.digest, "at": time.time()}
            print(json.dumps(said), flush=True)

        def client() -> Client:
            return Client(function, (place.hostname or HOST, place.port or 80), self.faults, crash)

        server = await asyncio.get_running_loop().create_server(client, HOST, 0, backlog=1024)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])


def main() -> int:
    """Runs until its parent goes."""
    asyncio.run(Proxy(os.environ["SECRET"]).serve())
    return 0


if __name__ == "__main__":
    sys.exit(main())
