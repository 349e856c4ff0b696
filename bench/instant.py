"""A DynamoDB endpoint that takes every write and holds nothing: `python -m bench.instant`.

It answers some thousand requests a second, many times an emulator's, so that what is measured behind a distance is the
client's side. What ends up in a table is measured elsewhere, on an emulator.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.emulators import HOST
from local.processes import TETHER, Child

ROOT = Path(__file__).resolve().parents[1]


@contextmanager
def instant() -> Iterator[str]:
    """The address, while the block runs."""
    with tempfile.TemporaryDirectory(prefix="distributary-") as home:
        command = [sys.executable, str(TETHER), ":".join([str(ROOT), *sys.path]), "bench.instant"]
        child = Child(command, {"PATH": ""}, Path(home), subprocess.PIPE)
        try:
            yield child.output.readline().decode().strip()
        finally:
            child.stop()


def answer(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    """Success; nothing is found."""
    match operation:
        case "BatchGetItem":
            return {"Responses": {table: [] for table in request["RequestItems"]}, "UnprocessedKeys": {}}
        case "BatchWriteItem":
            return {"UnprocessedItems": {}}
        case "PutItem" | "DeleteItem" | "UpdateItem" | "GetItem" | "TransactWriteItems":
            return {}
    raise ValueError(f"{operation} has no answer here: say what it is")


async def _connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            fields = dict(line.lower().split(": ", 1) for line in head[1:] if ": " in line)
            body = await reader.readexactly(int(fields["content-length"]))
            operation = next(line for line in head if line.lower().startswith("x-amz-target")).rsplit(".", 1)[1]
            said = json.dumps(answer(operation, json.loads(body))).encode()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\nContent-Length: %d\r\n\r\n%s"
                         % (len(said), said))  # fmt: skip
            await writer.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _serve() -> None:
    server = await asyncio.start_server(_connected, HOST, 0, backlog=1024)
    print(f"http://{HOST}:{server.sockets[0].getsockname()[1]}", flush=True)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve())
