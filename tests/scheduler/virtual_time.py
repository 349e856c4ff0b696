"""The layer's clocks, sleeps, jitter, random ids and thread pools, replaced for as long as a schedule is played.

Product code is unchanged: what it took from the standard library (a module, a function, the default of a parameter) is
exchanged where it took it.
"""

import random
import sys
import threading
import time
import types
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import Any, Protocol

PACKAGE = "distributary"


class Machine(Protocol):
    """What the layer is given in the place of the machine that it runs on."""

    def time(self) -> float: ...
    def monotonic(self) -> float: ...
    def sleep(self, seconds: float) -> None: ...
    def uniform(self, low: float, high: float) -> float: ...
    def uuid4(self) -> Any: ...
    def executor(self, workers: int, **named: Any) -> Any: ...


_running: list[Machine] = []
_REAL: dict[Any, str] = {
    time.time: "time",
    time.monotonic: "monotonic",
    time.sleep: "sleep",
    random.uniform: "uniform",
    uuid.uuid4: "uuid4",
    ThreadPoolExecutor: "executor",
}


def _substitute(name: str) -> Callable[..., Any]:
    return lambda *arguments, **named: getattr(_running[-1], name)(*arguments, **named)


_SUBSTITUTES = {real: _substitute(name) for real, name in _REAL.items()}


def _stand_in(module: types.ModuleType) -> types.ModuleType:
    copy = types.ModuleType(module.__name__)
    copy.__dict__.update({name: _exchanged(value) for name, value in vars(module).items()})
    return copy


def _exchanged(value: Any) -> Any:
    try:
        return _SUBSTITUTES.get(value, value)
    except TypeError:
        return value


_MODULES = {id(module): _stand_in(module) for module in (time, random, uuid)}

Seam = tuple[Callable[[Any], None], Any, Any]
"""How to set it, what it holds, and what it is to hold."""


@contextmanager
def virtual(machine: Machine) -> Iterator[None]:
    """The layer runs on this machine. It is exchanged for the whole process, so only the main thread may ask for it:
    schedules that are played side by side need processes. Raises RuntimeError."""
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("virtual time is the whole process's: play schedules on the main thread, or in processes")
    seams = _seams(sum(name.startswith(PACKAGE) for name in sys.modules)) if not _running else []
    _running.append(machine)
    for put, _, new in seams:
        put(new)
    try:
        yield
    finally:
        for put, old, _ in seams:
            put(old)
        _running.pop()


@cache
def _seams(modules: int) -> list[Seam]:
    """Of all modules that are imported: so many."""
    found: dict[int, Seam] = {}
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] != PACKAGE:
            continue
        for key, value in vars(module).items():
            new = _MODULES.get(id(value)) or _exchanged(value)
            if new is not value:
                found[len(found)] = (_into(vars(module), key), value, new)
            for function in _functions(value):
                if str(function.__module__).startswith(PACKAGE) and -id(function) not in found:
                    found |= {-id(function): seam for seam in _defaults(function)}
    return list(found.values())


def _into(names: dict[str, Any], key: str) -> Callable[[Any], None]:
    return lambda value: names.__setitem__(key, value)


def _functions(value: Any) -> list[types.FunctionType]:
    members = list(vars(value).values()) if isinstance(value, type) else [value]
    members = [getattr(each, "__func__", each) for each in members]
    return [each for each in members if isinstance(each, types.FunctionType)]


def _defaults(function: types.FunctionType) -> Iterator[Seam]:
    old = function.__defaults__, function.__kwdefaults__
    new = (
        old[0] and tuple(map(_exchanged, old[0])),
        old[1] and {name: _exchanged(value) for name, value in old[1].items()},
    )

    def put(defaults: Any) -> None:
        function.__defaults__, function.__kwdefaults__ = defaults

    if old != new:
        yield put, old, new
