"""Every branch with everybody at work on it who can be today: what is played in samples, and in soaks."""

from collections.abc import Callable, Sequence
from functools import partial

from tests.scheduler.archive import ArchiveWorld
from tests.scheduler.broken import RandomBroken
from tests.scheduler.choices import Choices
from tests.scheduler.derive import DeriveWorld, SteppingWorld
from tests.scheduler.derive import KeepingWorld as KeepingViews
from tests.scheduler.effects import SAFE, Effect, Faults, late
from tests.scheduler.expiring import ExpiringWorld
from tests.scheduler.filled import FilledIndex, FilledMirror, FilledViews
from tests.scheduler.index import IndexWorld
from tests.scheduler.joined import JoinedWorld
from tests.scheduler.kinesis import (
    KinesisIndex,
    KinesisJoined,
    KinesisMerging,
    KinesisMesh,
    KinesisMirror,
    KinesisViews,
)
from tests.scheduler.mirror import KeepingWorld as KeepingMirror
from tests.scheduler.mirror import MirrorWorld
from tests.scheduler.rebuilt import RandomRebuilt
from tests.scheduler.rebuilt_index import RandomRebuiltIndex
from tests.scheduler.rebuilt_joins import RandomRebuiltJoins
from tests.scheduler.reindex import ReindexWorld
from tests.scheduler.runs import Make, Playable, play
from tests.scheduler.trunked import TrunkedArchive, TrunkedIndex, TrunkedMirror, TrunkedViews, TrunkedWelcome
from tests.scheduler.welcome import ResendWorld, WelcomeWorld
from tests.scheduler.world import Plan, World
from tests.simulation.merging import Merging
from tests.simulation.mesh import Mesh
from tests.simulation.schedules import Schedule

Kind = Callable[[int, Choices, Plan], World]
MOST = (0, 4, 10)
"""Faults of a schedule: the seed says which."""


def streamed(world: Kind, kinds: tuple[Effect, ...], seed: int, choices: Choices) -> World:
    """The stream alone, with zombies, rewinds and redrives."""
    return world(seed, choices, Plan(faults=Faults(MOST[seed % 3], kinds=kinds, tears=True)))


def repaired(world: Kind, kinds: tuple[Effect, ...], seed: int, choices: Choices) -> World:
    """The stream, records that are lost, and one to three repairs beside it."""
    faults, odd = Faults(MOST[seed // 2 % 3], kinds=kinds, tears=True), seed // 3 % 2
    plan = Plan(
        items=2,
        repairs=1 + seed % 3,
        zombies=odd,
        rewinds=odd,
        redrives=0,
        loses=seed % 2 == 0,
        hasty=seed % 4 < 3,
        faults=faults,
    )
    return world(seed, choices, plan)


def reconciled(world: Kind, kinds: tuple[Effect, ...], seed: int, choices: Choices) -> World:
    """The stream, records that are lost, and their keys reconciled, with repairs beside it in every second schedule."""
    faults, odd = Faults(MOST[seed // 2 % 3], kinds=kinds, tears=True), seed // 3 % 2
    plan = Plan(
        items=2, repairs=seed % 2, zombies=odd, rewinds=odd, redrives=0, loses=True, reconciles=True, faults=faults
    )
    return world(seed, choices, plan)


def trunked(world: Kind, kinds: tuple[Effect, ...], seed: int, choices: Choices) -> World:
    """The stream with zombies, rewinds and redrives, outages and pauses, and the feeder beside them; of what can be
    repaired a repair beside these in every third schedule."""
    faults, odd = Faults(MOST[seed // 2 % 3], kinds=kinds, tears=True), seed // 3 % 2
    repairs = int(seed % 3 == 0 and world not in (TrunkedArchive, TrunkedWelcome))
    plan = Plan(items=2, repairs=repairs, zombies=odd, rewinds=odd, redrives=seed % 2, faults=faults)
    return world(seed, choices, plan)


def regions_repaired(mesh: Callable[..., Mesh], seed: int, choices: Choices) -> Playable:
    """All regions are written to, with one or two repairs beside their streams."""
    return mesh(seed, choices, repairs=1 + seed % 2)


def regions_reconciled(mesh: Callable[..., Mesh], seed: int, choices: Choices) -> Playable:
    """All regions are written to; records are lost and their keys reconciled, with a repair beside them in every second
    schedule."""
    return mesh(seed, choices, repairs=seed % 2, loses=True)


def rebuilt(world: Kind, kinds: tuple[Effect, ...], seed: int, choices: Choices) -> World:
    """The stream with zombies and rewinds, of what is declared anew, and a rebuild beside it."""
    faults, odd = Faults(MOST[seed // 2 % 3], kinds=kinds, tears=True), seed // 3 % 2
    return world(seed, choices, Plan(items=2, zombies=odd, rewinds=odd, redrives=seed % 2, faults=faults))


def broken(seed: int, choices: Choices) -> World:
    """The stream with zombies and rewinds, groups and members that break, and runs that build them anew."""
    faults, odd = Faults(MOST[seed // 2 % 3], kinds=SAFE, tears=True), seed // 3 % 2
    plan = Plan(items=2, repairs=1 + seed % 2, zombies=odd, rewinds=odd, redrives=0, hasty=seed % 4 < 2, faults=faults)
    return RandomBroken(seed, choices, plan)


def stepped(seed: int, choices: Choices) -> World:
    """Items written in several transactions, with the stream alone, repairs, or keys that are reconciled beside it."""
    return (streamed, repaired, reconciled)[seed % 3](SteppingWorld, SAFE, seed // 3, choices)


def joined(seed: int, choices: Choices) -> World:
    """Joins, with both sides written at once, and the stream alone, repairs, or keys that are reconciled beside it."""
    return (streamed, repaired, reconciled)[seed % 3](JoinedWorld, SAFE, seed // 3, choices)


def scheduled(seed: int, choices: Choices) -> Playable:
    """See `Schedule`."""
    return Schedule(seed, choices=choices)


RankedViews = partial(DeriveWorld, kinds=("newest", "earliest", "best", "least-letters", "ranked"))


BRANCHES: dict[str, Make] = {
    "archive": partial(streamed, ArchiveWorld, (*SAFE, late)),
    "archive-trunked": partial(trunked, TrunkedArchive, (*SAFE, late)),
    "derive": partial(streamed, DeriveWorld, SAFE),
    "derive-broken": broken,
    "derive-repaired": partial(repaired, DeriveWorld, SAFE),
    "derive-reconciled": partial(reconciled, DeriveWorld, SAFE),
    "derive-joined": joined,
    "derive-rebuilt": partial(rebuilt, RandomRebuilt, SAFE),
    "derive-joined-rebuilt": partial(rebuilt, RandomRebuiltJoins, SAFE),
    "derive-filled": partial(streamed, FilledViews, SAFE),
    "derive-keeping": partial(reconciled, KeepingViews, SAFE),
    "derive-shuffled": scheduled,
    "derive-kinesis": partial(streamed, KinesisViews, SAFE),
    "derive-joined-kinesis": partial(streamed, KinesisJoined, SAFE),
    "derive-stepped": stepped,
    "derive-expiring": partial(streamed, ExpiringWorld, SAFE),
    "derive-expiring-repaired": partial(repaired, ExpiringWorld, SAFE),
    "derive-top": partial(streamed, RankedViews, SAFE),
    "derive-top-repaired": partial(repaired, RankedViews, SAFE),
    "derive-trunked": partial(trunked, TrunkedViews, SAFE),
    "index": partial(streamed, IndexWorld, (*SAFE, late)),
    "index-repaired": partial(repaired, IndexWorld, (*SAFE, late)),
    "index-filled": partial(streamed, FilledIndex, (*SAFE, late)),
    "index-reconciled": partial(reconciled, IndexWorld, (*SAFE, late)),
    "index-rebuilt": partial(rebuilt, RandomRebuiltIndex, (*SAFE, late)),
    "index-kinesis": partial(streamed, KinesisIndex, (*SAFE, late)),
    "index-trunked": partial(trunked, TrunkedIndex, (*SAFE, late)),
    "reindex": partial(streamed, ReindexWorld, (*SAFE, late)),
    "merged-reconciled": partial(regions_reconciled, Merging),
    "mirror": partial(streamed, MirrorWorld, SAFE),
    "mirror-filled": partial(streamed, FilledMirror, SAFE),
    "mirror-trunked": partial(trunked, TrunkedMirror, SAFE),
    "mirror-kinesis": partial(streamed, KinesisMirror, SAFE),
    "mirror-repaired": partial(repaired, MirrorWorld, SAFE),
    "mirror-keeping": partial(reconciled, KeepingMirror, SAFE),
    "mirror-reconciled": partial(reconciled, MirrorWorld, SAFE),
    "multi-active": Mesh,
    "multi-active-kinesis": KinesisMesh,
    "multi-active-kinesis-reconciled": partial(regions_reconciled, KinesisMesh),
    "multi-active-merged": Merging,
    "multi-active-merged-kinesis": KinesisMerging,
    "multi-active-merged-kinesis-reconciled": partial(regions_reconciled, KinesisMerging),
    "multi-active-merged-repaired": partial(regions_repaired, Merging),
    "multi-active-reconciled": partial(regions_reconciled, Mesh),
    "multi-active-repaired": partial(regions_repaired, Mesh),
    "welcome": partial(streamed, WelcomeWorld, (*SAFE, late)),
    "welcome-trunked": partial(trunked, TrunkedWelcome, (*SAFE, late)),
    "welcome-resent": partial(streamed, ResendWorld, (*SAFE, late)),
}


def failures(branch: str, seeds: Sequence[int]) -> tuple[int, list[str]]:
    """How many schedules were played, and what is told of the first that failed, if one did. A soak's processes find
    it here: a package's `__main__` is not imported by them."""
    for played, seed in enumerate(seeds, 1):
        try:
            play(BRANCHES[branch], [seed])
        except AssertionError as error:
            return played, [f"{branch}: {error}"]
    return len(seeds), []
