"""Runs the console's server beside the command, on a port of this machine that nobody else can reach."""

import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from local.emulators import HOST, port_for
from local.errors import LocalError

START_SECONDS = 10.0


@contextmanager
def served(make: Callable[[str, list[str]], Starlette], port: int | None = None) -> Iterator[str]:
    """The link to the page while the block runs; `make` is given the token and the hosts that the page may name.
    Raises LocalError if the port is taken."""
    token, number = secrets.token_urlsafe(32), port_for(port)
    app = make(token, [f"{HOST}:{number}", f"localhost:{number}"])
    config = uvicorn.Config(
        app, log_level="critical", access_log=False, lifespan="off", timeout_graceful_shutdown=1, ws="none"
    )
    server = _Server(config)
    listening = _listening(number)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True, name="console")
    thread.start()
    try:
        if not server.up.wait(START_SECONDS):
            raise LocalError("the console's server did not come up: try again")
        yield f"http://{HOST}:{number}/#token={token}"
    finally:
        server.should_exit = True
        thread.join(5.0)
        listening.close()


def _listening(port: int) -> socket.socket:
    found = socket.socket()
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((HOST, port))
    except OSError as error:
        found.close()
        raise LocalError(f"port {port} of {HOST} is taken ({error.strerror}): give another --console-port") from None
    return found


class _Server(uvicorn.Server):
    """Says when it is up."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.up = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's."""
        await super().startup(sockets)
        self.up.set()
