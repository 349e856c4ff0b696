"""What can befall a call: the function dies, the service refuses, the answer is lost, time runs out.

An error is raised as a copy: one that is raised again and again keeps the frames of each time.
"""

import copy
import time
from collections.abc import Callable
from typing import Any

Call = Callable[[], Any]
Effect = Callable[[Call, Any], Any]


class Crash(BaseException):
    """The function's process ends: nothing catches it, as nothing catches SIGKILL."""


def crash_before(call: Call, service: Any) -> Any:
    """The call never leaves."""
    raise Crash


def crash_after(call: Call, service: Any) -> Any:
    """The call takes effect, and nobody is left to hear what came of it."""
    try:
        call()
    finally:
        raise Crash


def throttled(call: Call, service: Any) -> Any:
    """The service refuses for now."""
    raise copy.copy(service.THROTTLED)


def broken(call: Call, service: Any) -> Any:
    """The service fails before it does anything."""
    raise copy.copy(service.BROKEN)


def unanswered(call: Call, service: Any) -> Any:
    """The call takes effect and its answer is lost."""
    call()
    raise copy.copy(service.UNANSWERED)


def slow(seconds: float) -> Effect:
    """The answer comes after so long."""

    def effect(call: Call, service: Any) -> Any:
        time.sleep(seconds)
        return call()

    return effect


class Faults:
    """Counts the calls of all clients that it wraps, and lets its effects befall some of them."""

    def __init__(self, at: dict[int, Effect] | None = None) -> None:
        self.at = at or {}
        self.calls = 0
        self._when: list[tuple[Callable[[str, dict[str, Any]], bool], Effect]] = []

    def when(self, befalls: Callable[[str, dict[str, Any]], bool], effect: Effect) -> None:
        """Every call of which `befalls(operation, arguments)`."""
        self._when.append((befalls, effect))

    def cease(self) -> None:
        """From now on all is well."""
        self.at, self._when = {}, []

    def __call__(self, client: Any, service: Any) -> Any:
        """The client of a service (the module with its THROTTLED, BROKEN and UNANSWERED), behind these faults."""
        return _Wrapped(client, service, self)

    def befall(self, operation: str, arguments: dict[str, Any], call: Call, service: Any) -> Any:
        """Makes the call, or what is in store for it."""
        effect = self.at.get(self.calls)
        self.calls += 1
        for befalls, other in self._when:
            if befalls(operation, arguments):
                effect = effect or other
        return effect(call, service) if effect else call()


class _Wrapped:
    def __init__(self, client: Any, service: Any, faults: Faults) -> None:
        self._client, self._service, self._faults = client, service, faults

    def __getattr__(self, operation: str) -> Any:
        method = getattr(self._client, operation)

        def made(**arguments: Any) -> Any:
            return self._faults.befall(operation, arguments, lambda: method(**arguments), self._service)

        return made
