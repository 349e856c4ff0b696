"""A few actors at one item, small enough that every order of their calls is tried."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from distributary.consumer.outcome import Status
from tests.scheduler.choices import Choices
from tests.scheduler.effects import Faults
from tests.scheduler.runs import Make
from tests.scheduler.source import Image
from tests.scheduler.world import Plan, World

Step = Callable[[Any], None]
"""Does something in a world: before the race, or as an actor in it."""

NAME = "i0"


def race(
    kind: type[World],
    before: Sequence[Step],
    actors: Sequence[Step],
    faults: Faults | None = None,
    **more: Any,
) -> Make:
    """A world in which these steps were made, and then these actors run beside each other. Play it with every list of
    choices: one interference is each actor into each of the other's calls. `faults` is used up by each schedule."""

    class Race(kind):  # type: ignore[misc, valid-type]
        def begin(self) -> None:
            super().begin()
            for step in before:
                step(self)

        def actors(self) -> list[tuple[str, Any]]:
            return [(each.__name__, partial(each, self)) for each in actors]

    def make(seed: int, choices: Choices) -> World:
        own = Faults(faults.most, faults.odds, faults.kinds) if faults else None
        return Race(seed, choices, Plan(items=2, repairs=1, loses=True, faults=own, coarse=True), **more)

    return make


def item(total: int) -> Image:
    """As every world takes it; one of less than 40 is in the group that the neighbour is in."""
    status = "new" if total < 40 else "open"
    name = "xyz"[total // 10 % 3]
    number = {"N": str(total)}
    return {"type": {"S": "a"}, "status": {"S": status}, "name": {"S": name}, "total": number, "when": number}


def put(total: int, name: str = NAME) -> Step:
    """The application puts the item; nobody delivers it."""

    def step(world: World) -> None:
        world.put(name, item(total))

    return step


def neighbour(world: World) -> None:
    """Another item that shares groups with the first, and is not touched again."""
    put(10, "i1")(world)
    deliver(world)


def delete(world: World) -> None:
    """The application deletes the item; nobody delivers it."""
    world.delete(NAME)


def deliver(world: World, record: int = -1) -> None:
    """A record, the newest if not told otherwise, comes to the function until it is through."""
    while world.function([world.records[record]]) is not None:
        world.scheduler.sleep(1.0)


def live(world: World) -> None:
    """The newest record comes to the function."""
    deliver(world)


def deleting(world: World) -> None:
    """The application deletes the item, and the function hears of it."""
    delete(world)
    deliver(world)


def editing(world: World) -> None:
    """The application puts the item anew, and the function hears of it."""
    put(30)(world)
    deliver(world)


def reconcile(world: World, record: int = -1) -> None:
    """An operator redrives a change, the newest if not told otherwise, which was parked or lost: its key is
    reconciled."""
    ends = world.reconcile([world.request(world.records[record])])
    assert not any(end.status is Status.FAILED for end in ends)


def repair(world: World) -> None:
    """An operator's `verify --repair`."""
    world.verify(repair=True)
