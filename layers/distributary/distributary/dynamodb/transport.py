"""One thread's loop over non-blocking connections: as many requests under way as their endpoints may have.

A thread per request costs several times what the request itself does. A loop belongs to one thread and to one `run`;
threads share nothing but the endpoints' idle connections, each of which one loop has at a time.
"""

import errno
import heapq
import selectors
import ssl
import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, TypeVar

from botocore.exceptions import (
    BotoCoreError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
    SSLError,
)

from distributary.consumer.deadline import Deadline
from distributary.consumer.parallel import Parallel
from distributary.dynamodb.asides import Asides
from distributary.dynamodb.connection import Address, Connection, Phase
from distributary.dynamodb.response import Response
from distributary.dynamodb.steps import Aside, Call, Pause, Steps, Together
from distributary.errors import DistributaryError, Unavailable
from distributary.stream.struct import Struct, field

Result = TypeVar("Result")
STARTS = 16
"""Steps that begin before the loop looks whether responses have arrived."""

LOOKUP_SECONDS = 1.0
_TOO_MANY = (errno.EMFILE, errno.ENFILE)
"""Open files, in the process or in the system."""


class Endpoint:
    """Where requests go, with at most `connections` of them under way in each loop, and with the connections that are
    kept between loops: a deque, so that threads may take and give them."""

    def __init__(self, url: str, address: Address, connections: int) -> None:
        self.url, self.address, self.connections = url, address, connections
        self._idle: deque[Connection] = deque()
        self._known: list[Any] = []
        self._failure: tuple[float, OSError] | None = None

    def resolve(self) -> list[Any]:
        """All addresses of the host, those to be tried first in front: those of the last time if it is not found now.
        A failed lookup counts for `LOOKUP_SECONDS`, since each one stops the whole loop. Raises OSError."""
        failure = self._failure
        if failure is None or time.monotonic() - failure[0] > LOOKUP_SECONDS:
            try:
                self._known, self._failure = self.address.resolve(), None
            except OSError as error:
                failure = self._failure = time.monotonic(), error
        if failure is not None and not self._known:
            raise failure[1].with_traceback(None)
        return self._known

    def take(self) -> Connection | None:
        """One of those that are kept, if there is any."""
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def give(self, connection: Connection) -> None:
        """Keeps an idle connection, or closes it if enough are kept."""
        if len(self._idle) < self.connections:
            self._idle.append(connection)
        else:
            connection.close()


class Exchange(Struct, eq=False):
    """A request, yielded by an operation's steps. Answered by the `Response`, or by a BotoCoreError."""

    endpoint: Endpoint
    request: bytes
    fresh: bool = False
    task: Any = None
    expires: float = 0.0


class Retry(Struct):
    """Wanted before a failed request is sent again: a pause. If it would last until the deadline, the error rises."""

    seconds: float
    error: Exception


class _Together(Struct):
    """Steps under way, and the task that waits for all of them."""

    results: list[Any]
    left: int
    waiting: "_Task | None" = None


class _Task(Struct):
    """Steps, and those that they wait for on top; what becomes of them goes to a place of `together`."""

    stack: list[Steps[Any]]
    together: _Together
    place: int


class _Lane(Struct):
    """An endpoint's requests in one loop, at most `most` of them under way."""

    endpoint: Endpoint
    most: int
    busy: int = 0
    free: list[Connection] = field(default_factory=list)
    queue: deque[Exchange] = field(default_factory=deque)
    found: Any = None


class Loop:
    """Carries steps out. `deadline`: no steps begin after it, and no call is tried again. Those that have begun make
    their calls until two thirds of its reserve are over; then what is under way is given up. What steps do `Aside` is
    done in the threads of `parallel`."""

    def __init__(
        self,
        deadline: Deadline,
        selector: Callable[[], selectors.BaseSelector] = selectors.DefaultSelector,
        parallel: Parallel | None = None,
    ) -> None:
        self._deadline, self._selectors, self._parallel = deadline, selector, parallel
        self._asides: Asides | None = None
        self._given_up = time.monotonic() + deadline.into_reserve().left()
        self._later: deque[_Task] = deque()
        self._lanes: dict[int, _Lane] = {}
        self._active: dict[Connection, Exchange] = {}
        self._registered: dict[Connection, int] = {}
        self._pauses: list[tuple[float, int, _Task]] = []
        self._number = count()
        self._patience = float("inf")

    def run(self, steps: Sequence[Steps[Result]]) -> list[Result | DistributaryError]:
        """See `Together`. What is no DistributaryError rises, and breaks off what is under way."""
        with self._selectors() as self._selector:
            try:
                whole = self._begin(steps, None)
                while whole.left:
                    self._turn()
                return whole.results
            finally:
                self._end()

    def _begin(self, steps: Sequence[Steps[Any]], waiting: _Task | None) -> _Together:
        together = _Together([None] * len(steps), len(steps), waiting)
        self._later.extend(_Task([each], together, place) for place, each in enumerate(steps))
        return together

    def _turn(self) -> None:
        for _ in range(STARTS):
            if not self._later or self._is_full():
                break
            self._start(self._later.popleft())
            self._drain()
        idle = not self._active and not self._pauses and not self._asides
        wait = 0.0 if idle or (self._later and not self._is_full()) else self._until_something_is_due()
        ready = self._selector.select(wait)
        now = time.monotonic()
        for key, _ in ready:
            if key.data is None:
                self._take_asides()
            else:
                self._proceed(key.data, now)
        while self._pauses and self._pauses[0][0] <= now:
            self._advance(heapq.heappop(self._pauses)[2], None, None)
        if now >= self._patience:
            self._expire(now)
        self._drain()

    def _is_full(self) -> bool:
        """Whether something waits for a connection: what begins now would wait as well."""
        return any(lane.queue or lane.busy >= lane.most for lane in self._lanes.values())

    def _until_something_is_due(self) -> float:
        due = min(self._pauses[0][0] if self._pauses else float("inf"), self._patience)
        return max(0.0, min(due - time.monotonic(), 60.0))

    def _start(self, task: _Task) -> None:
        try:
            self._deadline.check()
        except Unavailable as error:
            task.stack.pop().close()
            self._ended(task, error)
        else:
            self._advance(task, None, None)

    def _advance(self, task: _Task, answer: Any, error: Exception | None) -> None:
        """Sends the answer to the steps on top, or raises the error in them, and does what they want next."""
        while True:
            steps = task.stack[-1]
            try:
                wanted = steps.send(answer) if error is None else steps.throw(error)
            except StopIteration as end:
                answer, error = end.value, None
            except Exception as raised:  # noqa: BLE001  (it rises in the steps below, or in `_ended`)
                answer, error = None, raised
            else:
                answer, error = None, None
                if isinstance(wanted, Call):
                    task.stack.append(wanted.client.steps(wanted.operation, wanted.arguments))
                    continue
                self._wait(task, wanted)
                return
            task.stack.pop()
            if not task.stack:
                self._ended(task, error or answer)
                return

    def _wait(self, task: _Task, wanted: Any) -> None:
        match wanted:
            case Exchange():
                wanted.task = task
                self._enqueue(wanted)
            case Retry(seconds, error) if seconds >= self._deadline.left():
                self._advance(task, None, error)
            case Pause(seconds) | Retry(seconds):
                heapq.heappush(self._pauses, (time.monotonic() + seconds, next(self._number), task))
            case Aside(call) if self._parallel is not None:
                if self._asides is None:
                    self._asides = Asides(self._parallel, self._selector)
                self._asides.begin(call, task)
            case Together(several):
                together = self._begin(several, task)
                if not several:
                    self._advance(task, together.results, None)
            case _:
                raise TypeError(f"{wanted!r} can not be done here")

    def _take_asides(self) -> None:
        assert self._asides is not None
        for task, future in self._asides.ended():
            try:
                answer = future.result()
            except Exception as raised:  # noqa: BLE001  (it rises in the steps)
                self._advance(task, None, raised)
            else:
                self._advance(task, answer, None)

    def _ended(self, task: _Task, result: Any) -> None:
        if isinstance(result, Exception) and not isinstance(result, DistributaryError):
            raise result
        together = task.together
        together.results[task.place] = result
        together.left -= 1
        if not together.left and together.waiting is not None:
            self._advance(together.waiting, together.results, None)

    def _enqueue(self, exchange: Exchange) -> None:
        endpoint = exchange.endpoint
        lane = self._lanes.get(id(endpoint))
        if lane is None:
            lane = self._lanes[id(endpoint)] = _Lane(endpoint, endpoint.connections)
        lane.queue.append(exchange)

    def _drain(self) -> None:
        """Sends what waits, as far as there may be connections for it."""
        for lane in list(self._lanes.values()):
            while lane.queue and lane.busy < lane.most:
                self._send(lane, lane.queue.popleft())

    def _send(self, lane: _Lane, exchange: Exchange) -> None:
        if time.monotonic() >= self._given_up:
            self._advance(exchange.task, None, Unavailable("stopped before the function's timeout"))
            return
        try:
            connection = self._connection(lane, exchange)
        except OSError as error:
            if error.errno in _TOO_MANY and lane.busy:
                lane.most = lane.busy
                lane.queue.appendleft(exchange)
                return
            self._advance(exchange.task, None, _explained(error, exchange, None))
            return
        lane.busy += 1
        self._active[connection] = exchange
        connection.ask(exchange.request)
        self._proceed(connection, time.monotonic())

    def _connection(self, lane: _Lane, exchange: Exchange) -> Connection:
        """An idle one that is still open, or a new one. An idle one may have been closed while the function was frozen,
        and one with something to read would answer with that from then on."""
        while not exchange.fresh:
            connection = lane.free.pop() if lane.free else lane.endpoint.take()
            if connection is None:
                break
            if connection.is_alive():
                return connection
            self._forget(connection)
        if lane.found is None:
            lane.found = lane.endpoint.resolve()
        return Connection(lane.endpoint.address, lane.found)

    def _proceed(self, connection: Connection, now: float) -> None:
        exchange = self._active.get(connection)
        if exchange is None:
            self._forget(connection)
            return
        try:
            response = connection.proceed()
        except (OSError, ValueError) as error:
            self._broken(connection, exchange, error)
            return
        if response is None:
            exchange.expires = min(now + connection.patience, self._given_up)
            self._patience = min(self._patience, exchange.expires)
            self._watch(connection)
        else:
            self._answered(connection, exchange, response)

    def _watch(self, connection: Connection) -> None:
        before = self._registered.get(connection)
        if before is None:
            self._selector.register(connection.socket, connection.events, connection)
        elif before != connection.events:
            self._selector.modify(connection.socket, connection.events, connection)
        self._registered[connection] = connection.events

    def _answered(self, connection: Connection, exchange: Exchange, response: Response) -> None:
        lane = self._release(connection, exchange)
        if response.reusable:
            lane.free.append(connection)
        else:
            self._forget(connection)
        self._advance(exchange.task, response, None)

    def _broken(self, connection: Connection, exchange: Exchange, error: Exception) -> None:
        """A connection that ended before it answered was perhaps closed while it was idle: its request is sent again
        at once, over a new one. A host's next address is tried if one does not connect."""
        lane = self._release(connection, exchange)
        self._forget(connection)
        if connection.phase is Phase.CONNECTING and connection.others:
            lane.found = connection.others
            lane.queue.appendleft(exchange)
        elif connection.answered and connection.untouched and not isinstance(error, TimeoutError):
            exchange.fresh = True
            lane.queue.appendleft(exchange)
        else:
            self._advance(exchange.task, None, _explained(error, exchange, connection))

    def _release(self, connection: Connection, exchange: Exchange) -> _Lane:
        del self._active[connection]
        lane = self._lanes[id(exchange.endpoint)]
        lane.busy -= 1
        return lane

    def _forget(self, connection: Connection) -> None:
        if self._registered.pop(connection, None) is not None:
            self._selector.unregister(connection.socket)
        for lane in self._lanes.values():
            if connection in lane.free:
                lane.free.remove(connection)
        connection.close()

    def _expire(self, now: float) -> None:
        """Gives up connections that were silent too long."""
        silent = [each for each in self._active.items() if each[1].expires <= now]
        for connection, exchange in silent:
            if self._active.get(connection) is exchange:
                self._broken(connection, exchange, TimeoutError("no response"))
        self._patience = min((each.expires for each in self._active.values()), default=float("inf"))

    def _end(self) -> None:
        if self._asides is not None:
            self._asides.close()
        for connection in self._active:
            connection.close()
        for lane in self._lanes.values():
            for connection in lane.free:
                lane.endpoint.give(connection)


def _explained(error: Exception, exchange: Exchange, connection: Connection | None) -> BotoCoreError:
    """As boto3 reports it."""
    url = exchange.endpoint.url
    if connection is None or connection.phase is Phase.CONNECTING:
        late = isinstance(error, TimeoutError)
        return (ConnectTimeoutError if late else EndpointConnectionError)(endpoint_url=url, error=error)
    if isinstance(error, TimeoutError):
        late_in = ConnectTimeoutError if connection.phase is Phase.HANDSHAKE else ReadTimeoutError
        return late_in(endpoint_url=url, error=error)
    if isinstance(error, ssl.SSLError):
        return SSLError(endpoint_url=url, error=error)
    if isinstance(error, OSError):
        return ConnectionClosedError(endpoint_url=url, error=error)
    return HTTPClientError(error=error)


def once(steps: Steps[Result], deadline: Deadline) -> Result:
    """Carries out steps that no others run beside. What they raise rises. poll(2) needs no file of its own, which takes
    a tenth of the time of a call."""
    (result,) = Loop(deadline, selectors.PollSelector).run([steps])
    if isinstance(result, DistributaryError):
        raise result
    return result
