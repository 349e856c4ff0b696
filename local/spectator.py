"""Whoever looks on while functions are attached: `attach` alone, or the console."""

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from local.esm.mapping import Delivering
from local.esm.watching import Nobody, Watcher
from local.runtime import Environment
from local.stack import Stack


class Spectator(Protocol):
    """Sees what attached functions do. `parameters`: of the template, over the user's."""

    parameters: Mapping[str, str]

    def line(self, line: str, /) -> bool:
        """A line of a function's log; whether it was for the spectator alone."""

    def watcher(self, function: str, /) -> Watcher:
        """Of its mapping."""

    def through(self, function: str, environment: Environment, /) -> Environment:
        """See `local.runtime.Through`."""

    def restarted(self, function: str) -> None:
        """A function runs with other declarations from now on."""

    def beside(self, stack: Stack, mappings: Mapping[str, Delivering], /) -> AbstractContextManager[object]:
        """What runs beside the functions until they end."""


class Alone:
    """Looks at nothing."""

    parameters: Mapping[str, str] = {}

    def line(self, _: str) -> bool:
        """See `Spectator`."""
        return False

    def watcher(self, _: str) -> Watcher:
        """See `Spectator`."""
        return Nobody()

    def through(self, _: str, environment: Environment) -> Environment:
        """See `Spectator`."""
        return environment

    def restarted(self, function: str) -> None:
        """See `Spectator`."""

    def beside(self, _: Stack, __: Mapping[str, Delivering]) -> AbstractContextManager[object]:
        """See `Spectator`."""
        return nullcontext()


ALONE = Alone()
