"""Work that consists of calls, written once as a generator: threads carry it out with any client, and one thread's loop
with many of its calls under way (`transport.Loop`).

    def put_and_look(self, row) -> Steps[bool]:
        yield Call(self.client, "put_item", {...})         # the answer, or what the call raises
        found = yield from batch_get_steps(...)
        ends = yield Together([self.remove(key) for key in found])
"""

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from distributary.consumer.deadline import Deadline
from distributary.consumer.parallel import Parallel

Result = TypeVar("Result")
Steps = Generator[Any, Any, Result]
"""Yields `Call`, `Pause`, `Aside` and `Together`, and is sent what becomes of them."""


class Call(NamedTuple):
    """One operation of a client, by its method's name. It is answered by what the method returns or raises."""

    client: Any
    operation: str
    arguments: Mapping[str, Any]


class Pause(NamedTuple):
    """So many seconds. Answered by None."""

    seconds: float


class Aside(NamedTuple):
    """A blocking call of something else than DynamoDB. Answered by what it returns or raises."""

    call: Callable[[], Any]


class Together(NamedTuple):
    """Steps that may run at the same time. Answered by a list of what they return, in order; as with `Parallel.run`, a
    DistributaryError is the result of the steps that raise it, and none of them begins after the deadline."""

    steps: Sequence[Steps[Any]]


def finish(
    steps: Steps[Result],
    parallel: Parallel | None = None,
    deadline: Deadline | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> Result:
    """Carries steps out in this thread, and what they do together in those of `parallel`. What they raise rises."""

    def done(wanted: Any) -> Any:
        match wanted:
            case Call(client, operation, arguments):
                return getattr(client, operation)(**arguments)
            case Pause(seconds):
                return sleep(seconds)
            case Aside(call):
                return call()
            case Together(several) if parallel is not None and deadline is not None:
                return parallel.run(lambda each: finish(each, parallel, deadline, sleep), several, deadline)
        raise TypeError(f"{wanted!r} can not be done here")

    try:
        wanted = next(steps)
        while True:
            try:
                answer = done(wanted)
            except Exception as error:  # noqa: BLE001  (it rises in the steps)
                wanted = steps.throw(error)
            else:
                wanted = steps.send(answer)
    except StopIteration as end:
        result: Result = end.value
        return result
