"""Many calls at once over pooled connections, each with its own end."""

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from distributary.consumer.deadline import Deadline
from distributary.errors import DistributaryError

Task = TypeVar("Task")
Result = TypeVar("Result")

WORKERS = 16
"""Calls in flight per function; the clients' connection pools hold as many."""


class Parallel:
    """Runs one call per task on a few threads that live as long as the function's environment."""

    def __init__(self, workers: int = WORKERS) -> None:
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix="distributary")

    def run(
        self, call: Callable[[Task], Result], tasks: Iterable[Task], deadline: Deadline
    ) -> list[Result | DistributaryError]:
        """Returns one result per task, in order. If a task raises a DistributaryError, its result is that error.

        No call starts after the deadline: its result is Unavailable. Any other exception is raised.
        """

        def one(task: Task) -> Result | DistributaryError:
            try:
                deadline.check()
                with deadline.governs():
                    return call(task)
            except DistributaryError as error:
                return error

        return list(self._executor.map(one, tasks))

    def begin(self, call: Callable[[], Result]) -> Future[Result]:
        """Runs a call that nobody waits for at once."""
        return self._executor.submit(call)
