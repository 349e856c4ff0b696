"""Derived tables in which groups and counted members are broken, mended beside the stream."""

import copy
from collections import Counter
from random import Random
from typing import Any

from distributary.consumer.outcome import Status
from distributary.consumer.parallel import Parallel
from distributary.derive.delta import RecordedContribution, is_member
from distributary.derive.format import STATE
from distributary.derive.groups import REVISION
from distributary.derive.verify.incarnation import GroupBuilder
from distributary.derive.verify.item_verifier import Comparator
from distributary.derive.verify.key_owner import view_of
from distributary.derive.verify.scan import Scan, look_at_groups
from distributary.errors import DistributaryError
from tests.scheduler.choices import Choices
from tests.scheduler.derive import DeriveWorld
from tests.scheduler.race import Step
from tests.scheduler.world import SOURCE, Plan

RUNS = 20
"""So often an operator runs the command again, if groups moved while it looked."""


class BrokenWorld(DeriveWorld):
    """With `reads`, whoever reads a group at any time finds the items that the ledger counts: for damage that leaves
    these alone."""

    def __init__(
        self, seed: int, choices: Choices, plan: Plan, kinds: tuple[str, ...] = (), reads: bool = False
    ) -> None:
        super().__init__(seed, choices, plan, kinds)
        self.oddities = False
        if reads:
            write = self.service.transact_write_items
            self.service.transact_write_items = lambda **more: self._read_after(write(**more))  # type: ignore[method-assign]

    def _read_after(self, answer: Any) -> Any:
        due: Counter[Any] = Counter()
        for row in self.service.state["ledger"].values():
            for key, (amounts, _) in RecordedContribution.read(row).shares.items():
                due[key] += int(amounts["items"])
        found = {key: row for key, row in self.derived.items() if REVISION in row}
        shown = {key: int(row[STATE]["M"]["amounts"]["M"].get("items", {"N": "0"})["N"]) for key, row in found.items()}
        assert +Counter(shown) == +due, f"a reader finds {shown}, and the ledger counts {dict(due)}"
        return answer

    @property
    def derived(self) -> dict[Any, dict[str, Any]]:
        """The derived table's rows by key."""
        return self.service.state["derived"]

    def build(self) -> bool:
        """What `verify --repair` does about groups, without the rest of it; whether it found nothing to do."""
        tables = self.branch().ledger.tables
        scan, names = Scan(tables, Parallel(), 1), {view.name: view for view in self.views}
        owned = {key: view_of(self.views, key) for key, row in self.derived.items() if REVISION in row}
        for id, row in self.service.state["ledger"].items():
            owned |= dict.fromkeys(RecordedContribution.read(row).shares, names.get(id[0].partition("|")[0]))
        wrong, moving = look_at_groups(scan, [(view, key) for key, view in owned.items() if view is not None])
        if wrong:
            GroupBuilder(Comparator(SOURCE, self.views, tables, 0, 0.0)).build(wrong)
        return not wrong and not moving

    def check(self, when: str) -> None:
        """See `World`. What a broken group could not take was parked, and is redriven first."""
        if self.parked:
            parked, self.parked = self.parked, []
            ends = self.scheduler.spawn("redrive", lambda: self.reconcile([self.request(each) for each in parked]))
            self.scheduler.run()
            assert not any(end.status in (Status.FAILED, Status.PARKED) for end in ends.result)
        super().check(when)

    def damage(self, kind: str, random: Random) -> None:
        """As no stream would: one row, if there is one that it can befall."""
        members = sorted(key for key, row in self.derived.items() if is_member(row))
        groups = sorted(key for key, row in self.derived.items() if REVISION in row)
        if kind in ("lost", "more", "foreign") and members:
            pk, sk = chosen = random.choice(members)
            row = self.derived.pop(chosen)
            if kind == "more":
                self.derived[chosen] = {**row, "items": {"N": str(int(row["items"]["N"]) + 2)}}
            if kind == "foreign":
                self.derived[chosen], self.derived[pk, f"0{sk}"] = row, {**row, "sk": {"S": f"0{sk}"}}
        elif kind in ("no row", "figures") and groups:
            chosen = random.choice(groups)
            row = copy.deepcopy(self.derived.pop(chosen))
            if kind == "figures":
                row[STATE]["M"]["amounts"]["M"]["items"] = {"N": "7"}
                self.derived[chosen] = row


DAMAGE = ("lost", "more", "foreign", "no row", "figures")


class RandomBroken(BrokenWorld):
    """One or two views of groups, damaged before and while the stream and several menders are at work."""

    def __init__(self, seed: int, choices: Choices, plan: Plan) -> None:
        random = Random(f"broken {seed}")
        kinds = tuple(random.sample(("sums", "spread", "newest"), random.randint(1, 2)))
        super().__init__(seed, choices, plan, kinds)

    def begin(self) -> None:
        """See `World`."""
        super().begin()
        random = Random(f"damage {self.seed}")
        for name in self.names:
            self.put(name, self.image(random))
        assert self.function(self.records) is None
        for _ in range(random.randint(1, 3)):
            self.damage(random.choice(DAMAGE), random)

    def actors(self) -> list[tuple[str, Any]]:
        """See `World`."""
        return [*super().actors(), ("vandal", self.vandal), ("mender", self.mender)]

    def vandal(self) -> None:
        """Damages once more, whatever goes on."""
        random = Random(f"vandal {self.seed}")
        self.scheduler.sleep(random.choice((0.0, 1.0, 20.0)))
        self.damage(random.choice(DAMAGE), random)

    def mender(self) -> None:
        """Runs the command until nothing is left, once all else is quiet."""
        self.scheduler.wait(lambda: self.written and all(each.finished for each in self.mappings))
        for _ in range(RUNS):
            run = self.scheduler.spawn("mend", self._mended)
            self.scheduler.wait(lambda ended=run: ended.ended)
            if not run.crashed and run.result:
                return
            self.scheduler.sleep(1.0)
        raise AssertionError(f"something was left at each of {RUNS} runs")

    def _mended(self) -> bool:
        try:
            self.verify(repair=True)
            return bool(self.verify(repair=False).equal)
        except DistributaryError:
            return False


def damaged(kind: str) -> Step:
    """One row is."""

    def step(world: BrokenWorld) -> None:
        world.damage(kind, Random("damaged"))

    return step


def mend(world: BrokenWorld) -> None:
    """Builds anew, until a look finds nothing."""
    for _ in range(RUNS):
        if world.build():
            return
    raise AssertionError(f"something was left at each of {RUNS} runs")


def mend_whoever_dies(world: BrokenWorld) -> None:
    """As `mend`, by one process after the other."""
    run = world.scheduler.spawn("run", lambda: mend(world))
    world.scheduler.wait(lambda: run.ended)
    if run.crashed:
        mend(world)
