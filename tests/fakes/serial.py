"""Calls one after the other, so that the n-th call is the same in every run."""

from typing import Any

from distributary.errors import DistributaryError


class Serial:
    """`parallel.Parallel` without threads."""

    def run(self, call: Any, tasks: Any, deadline: Any) -> list[Any]:
        """See `Parallel.run`."""

        def one(task: Any) -> Any:
            try:
                deadline.check()
                return call(task)
            except DistributaryError as error:
                return error

        return [one(task) for task in tasks]
