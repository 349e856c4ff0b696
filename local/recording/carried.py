"""One connection of a function through the proxy: each request is answered before the next.

Protocols in place of streams: a stream wakes a task several times for each request, which costs as much as the rest.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from local.recording.faults import Fault, Faults, refusal
from local.recording.http import CONTINUE, Arriving, Malformed, Message


class Client(asyncio.Protocol):
    """The function's side. `crash` is called with the fault and the request for a function that is to end, which then
    gets no answer."""

    def __init__(self, function: str, place: tuple[str, int], faults: Faults, crash: Callable[[str, Message], None]):
        self._function, self._place, self._faults, self._crash = function, place, faults, crash
        self._arriving = Arriving()
        self._asked: Message | None = None
        self._fault = ""
        self._service: Service | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, _: Exception | None) -> None:
        """See asyncio."""
        if self._service is not None:
            self._service.close()

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._arriving.add(data)
        self._next()

    def _next(self) -> None:
        """Begins with the next request, unless one is under way."""
        if self._asked is not None or self._arriving.empty:
            return
        try:
            asked = self._arriving.request()
            if asked is None:
                if self._arriving.waits():
                    self._transport.write(CONTINUE)
                return
        except Malformed:
            self._transport.abort()
            return
        fault = self._faults.of(self._function, asked)
        self._asked, self._fault = asked, fault.kind if fault is not None else ""
        self._begin(asked, fault)

    def _begin(self, asked: Message, fault: Fault | None) -> None:
        if fault is not None and fault.kind in ("throttle", "busy"):
            self.answered(refusal(fault))
        elif fault is not None and fault.kind == "crash before":
            self.answered(None)
        elif fault is not None and fault.kind == "slow":
            asyncio.get_running_loop().call_later(fault.milliseconds / 1000, self._ask, asked)
        else:
            self._ask(asked)

    def _ask(self, asked: Message) -> None:
        """A connection to the service that ended while it was idle is made anew: to the function it would look as if
        its request had been cut off."""
        if self._service is not None and self._service.open:
            self._service.ask(asked)
            return
        task = asyncio.get_running_loop().create_task(self._connect(asked))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _connect(self, asked: Message) -> None:
        with suppress(OSError):
            _, service = await asyncio.get_running_loop().create_connection(lambda: Service(self), *self._place)
            self._service = service
            service.ask(asked)
            return
        self.answered(None)

    def answered(self, answer: Message | None) -> None:
        """By the service; None if it ended the connection before."""
        asked, self._asked = self._asked, None
        if asked is None:
            return
        if self._fault.startswith("crash"):
            self._asked = asked  # nothing more is done for it
            self._crash(self._fault, asked)
        elif answer is None:
            self._transport.close()
        else:
            self._transport.write((answer.marked(self._fault) if self._fault else answer).raw)
            if answer.last:
                self._transport.close()
            self._next()


class Service(asyncio.Protocol):
    """The service's side."""

    def __init__(self, client: Client) -> None:
        self._client, self._arriving = client, Arriving()
        self._asked: Message | None = None
        self.open = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, asked: Message) -> None:
        """Passes a request on."""
        self._asked = asked
        self._transport.write(asked.raw)

    def close(self) -> None:
        """The function is gone."""
        self._transport.close()

    def data_received(self, data: bytes) -> None:
        """See asyncio."""
        self._arriving.add(data)
        self._look(False)

    def eof_received(self) -> bool:
        """See asyncio."""
        self.open = False
        return False

    def connection_lost(self, _: Exception | None) -> None:
        """See asyncio."""
        self.open = False
        if self._asked is not None:
            self._look(True)

    def _look(self, ended: bool) -> None:
        if self._asked is None:
            return
        try:
            answer = self._arriving.answer(self._asked, ended)
        except Malformed:
            answer, ended = None, True
            self._transport.abort()
        if answer is not None or ended:
            self._asked = None
            self._client.answered(answer)
