"""Deterministic simulation: real code in any number of actors, of which one at a time makes one call.

An actor is a greenlet that runs unchanged product code over clients of this scheduler. Each call is two points at which
the scheduler may let another actor go on: before the call takes effect, and before its response reaches the caller.
Time is virtual: it moves with calls, sleeps and jumps. Who goes on, and what befalls a call, is decided by `Choices`.
"""

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from random import Random
from types import SimpleNamespace
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

from tests.fakes.faults import Crash
from tests.scheduler.choices import Choices
from tests.scheduler.effects import Call, Faults
from tests.scheduler.trace import Event
from tests.scheduler.virtual_time import virtual

STARTED = 1_795_341_601.0
CALL_SECONDS = 0.004
STEPS = 100_000
"""More than any schedule takes, unless its actors never come to rest."""


@dataclass(eq=False)
class Actor:
    """One that makes calls. `skew` in seconds is how wrong its wall clock is; `spared`: nothing befalls its calls."""

    name: str
    program: Callable[[], Any]
    spared: bool = False
    skew: float = 0.0
    ended: bool = False
    crashed: bool = False
    result: Any = None
    family: list["Actor"] = field(default_factory=list)
    awaits: Callable[[], bool] | None = None
    wakes: float | None = None
    body: Any = None

    def become_zombie(self) -> None:
        """Given up by whoever started it, it goes on; nothing befalls it any more."""
        for each in self.family:
            each.name, each.spared = each.name.replace("live", "zombie"), True


class Scheduler:
    """`trace` is what happened, one event a call; `turning` the odds that an actor is stopped at a point where it
    could go on. If it is `coarse`, a call is one point, and the threads of an actor run one after the other: an
    enumeration needs no more where clocks do not matter, for between two of its calls an actor touches nothing that
    others see."""

    def __init__(
        self,
        choices: Choices,
        faults: Faults | None = None,
        seed: int = 0,
        turning: float = 0.3,
        coarse: bool = False,
    ) -> None:
        self.choices, self.faults, self.turning, self.coarse = choices, faults or Faults(), turning, coarse
        self.trace: list[Event] = []
        self.current: Actor | None = None
        self._actors: list[Actor] = []
        self._errors: list[BaseException] = []
        self._hub: Any = None
        self._seconds, self._jumped = 0.0, 0.0
        self._ids, self._jitter = 0, Random(f"jitter {seed}")

    def client(self, service: Any, errors: Any) -> Any:
        """The service behind this scheduler, for all actors; `errors` is the module of its fake, with THROTTLED,
        BROKEN and UNANSWERED. Outside of a run its calls are made at once."""
        return _Client(self, service, errors)

    def spawn(self, name: str, program: Callable[[], Any], spared: bool = False, skew: float = 0.0) -> Actor:
        """An actor that will go on whenever it is its turn, also from inside another one."""
        actor = Actor(name, program, spared, skew)
        actor.family = [actor]
        self._add(actor)
        return actor

    def fork(self, parent: Actor, at: int, program: Callable[[], Any]) -> Actor:
        """Another thread of the parent's process."""
        actor = Actor(f"{parent.name}.{at}", program, parent.spared, parent.skew)
        actor.family = parent.family
        actor.family.append(actor)
        self._add(actor)
        return actor

    def _add(self, actor: Actor) -> None:
        actor.body = greenlet(lambda: self._live(actor))
        self._actors.append(actor)

    def run(self) -> None:
        """Until all actors have ended. Raises what one of them raised; AssertionError if none can go on. What is left
        of dead processes is not collected meanwhile: generators make calls when they are closed."""
        with virtual(self), _no_collector():
            self._hub = getcurrent()
            for _ in range(STEPS):
                if any(actor.ended for actor in self._actors):
                    self._actors = [actor for actor in self._actors if not actor.ended]
                if not self._actors:
                    break
                self._turn(self._next())
                if self._errors:
                    raise self._errors[0]
            else:
                raise AssertionError(f"the actors do not come to rest: {[each.name for each in self._actors]}")
            self.current = None

    def play(self, *programs: Callable[[], Any]) -> list[Any]:
        """Runs these, and what else there is, to their ends; what they returned."""
        actors = [self.spawn(getattr(each, "__name__", "actor"), each) for each in programs]
        self.run()
        return [actor.result for actor in actors]

    def pause(self) -> None:
        """A point without a call."""
        if self.acting() is not None:
            self._hub.switch()

    def wait(self, until: Callable[[], bool], at_most: float | None = None) -> bool:
        """The actor goes on once `until` holds, or after so many seconds, if others are slow; which of the two."""
        actor = self.acting()
        assert actor is not None, "only an actor can wait"
        actor.awaits, actor.wakes = until, None if at_most is None else self._seconds + at_most
        self._hub.switch()
        return until()

    @contextmanager
    def sparing(self) -> Iterator[None]:
        """Nothing befalls the calls that the current actor makes meanwhile."""
        actor = self.acting()
        if actor is None:
            yield
            return
        before, actor.spared = actor.spared, True
        yield
        actor.spared = before

    @contextmanager
    def machine(self) -> Iterator[None]:
        """Virtual time for what is done outside of a run."""
        with virtual(self):
            yield

    def time(self) -> float:
        """Seconds since the epoch, as the current actor's clock shows them."""
        return STARTED + self._seconds + self._jumped + (self.current.skew if self.current else 0.0)

    def monotonic(self) -> float:
        """Seconds, never less than before."""
        return 1000.0 + self._seconds

    def sleep(self, seconds: float) -> None:
        """Nobody waits: the others may go on meanwhile, and time moves when it is this actor's turn again."""
        if self.acting() is None:
            self._seconds += seconds
        elif seconds > 0:
            self.wait(lambda: False, seconds)
        else:
            self.pause()

    def uniform(self, low: float, high: float) -> float:
        """Jitter, the same for the same seed."""
        return self._jitter.uniform(low, high)

    def uuid4(self) -> Any:
        """The next one."""
        self._ids += 1
        return SimpleNamespace(hex=f"id-{self._ids:08d}")

    def executor(self, workers: int, **named: Any) -> "Executor":
        """In the place of a ThreadPoolExecutor."""
        return Executor(self)

    def jump(self, wall: float, monotonic: float = 0.0) -> None:
        """The wall clocks are set by `wall` seconds; or nobody got a turn for `monotonic` seconds."""
        self._jumped += wall
        self._seconds += monotonic

    def made(self, call: Call) -> Any:
        """A client's call: a point, what it does or what befalls it, and a point before its response."""
        actor = self.acting()
        if actor is None:
            return call.make()
        self.pause()
        self._seconds += CALL_SECONDS
        effect = None if actor.spared else self.faults.choose(self.choices, call)
        event = Event(self._seconds, actor.name, call.operation, call.arguments, effect.__name__ if effect else "")
        self.trace.append(event)
        try:
            event.answer = effect(self, call) if effect else call.make()
        except BaseException as error:
            event.answer = error
            if isinstance(error, Crash | GreenletExit):
                raise
            if not self.coarse:
                self.pause()
            raise
        if not self.coarse:
            self.pause()
        return event.answer

    def acting(self) -> Actor | None:
        """Who makes this call; None outside of a run. What is left of a process that has ended makes none."""
        here = getcurrent()
        if self.current is not None and here is self.current.body:
            return self.current
        if here.parent is not None:
            raise GreenletExit
        return None

    def _next(self) -> Actor:
        """The actor that ran last comes first if it can go on, then all that can, then those that sleep."""
        candidates: list[Actor] = []
        asleep: list[Actor] = []
        last, going_on = self.current, False
        for each in self._actors:
            if self._able(each):
                going_on = going_on or each is last
                candidates.insert(0 if each is last else len(candidates), each)
            elif each.wakes is not None:
                asleep.append(each)
        if asleep:
            candidates += sorted(asleep, key=lambda each: each.wakes or 0.0)
        assert candidates, f"nobody can go on: {[each.name for each in self._actors]}"
        odds = self.turning if going_on else 1 - 1 / len(candidates)
        return candidates[self.choices.pick(len(candidates), odds, 1 if going_on else len(candidates))]

    def _able(self, actor: Actor) -> bool:
        if actor.awaits is None or (actor.wakes is not None and actor.wakes <= self._seconds):
            return True
        return actor.awaits()

    def _turn(self, actor: Actor) -> None:
        if actor.wakes is not None and not (actor.awaits and actor.awaits()):
            self._seconds = max(self._seconds, actor.wakes)
        actor.awaits = actor.wakes = None
        self.current = actor
        actor.body.parent = self._hub
        actor.body.switch()

    def _live(self, actor: Actor) -> None:
        try:
            actor.result = actor.program()
        except Crash:
            for each in actor.family:
                each.crashed = each.ended = True
        except GreenletExit:
            pass
        except BaseException as error:  # noqa: BLE001
            self._errors.append(error)
        actor.ended = True


@contextmanager
def _no_collector() -> Iterator[None]:
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class _Client:
    def __init__(self, scheduler: Scheduler, service: Any, errors: Any) -> None:
        self._scheduler, self._service, self._errors = scheduler, service, errors

    def __getattr__(self, operation: str) -> Any:
        found = getattr(self._service, operation)
        if not callable(found):
            return _Client(self._scheduler, found, self._errors)
        return lambda **arguments: self._scheduler.made(Call(operation, arguments, found, self._errors))


class Executor:
    """As much of a ThreadPoolExecutor as the layer uses: tasks that run at once are actors too, and a crash of one is
    the end of the process that they belong to."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def __enter__(self) -> "Executor":
        return self

    def __exit__(self, *_: object) -> None:
        """All tasks have ended: `map` waits for them."""

    def map(self, call: Callable[[Any], Any], tasks: Iterable[Any]) -> list[Any]:
        """One result per task, in order. Raises the first task's error."""
        scheduler, parent, waiting = self._scheduler, self._scheduler.acting(), list(tasks)
        if parent is None or len(waiting) < 2 or scheduler.coarse:
            return [call(task) for task in waiting]
        children = [scheduler.fork(parent, at, partial(_tried, call, task)) for at, task in enumerate(waiting)]
        scheduler.wait(lambda: all(child.ended for child in children))
        parent.family[:] = [each for each in parent.family if each not in children]
        for error, _ in (child.result for child in children):
            if error is not None:
                raise error
        return [child.result[1] for child in children]


def _tried(call: Callable[[Any], Any], task: Any) -> tuple[Exception | None, Any]:
    try:
        return None, call(task)
    except Exception as error:  # noqa: BLE001
        return error, None
