"""Derived tables: views of every kind, on both primitives, beside their verification."""

from collections.abc import Sequence
from random import Random
from typing import Any, ClassVar
from unittest import mock

from distributary.consumer.outcome import Outcome
from distributary.consumer.parallel import Parallel
from distributary.consumer.reconcile import Reconcile
from distributary.derive import check, transaction_queue
from distributary.derive.branch import DeriveBranch
from distributary.derive.factory import build, reconciler
from distributary.derive.table_format import TableFormat
from distributary.derive.verify.item_verifier import Comparator
from distributary.derive.verify.repair import Repair
from distributary.derive.verify.scan import Scan
from distributary.derive.verify.upgrade import prepare
from distributary.derive.verify.verifier import Verify
from tests.fakes.built import DERIVED, derive_settings
from tests.scheduler.choices import Choices
from tests.scheduler.source import Image
from tests.scheduler.world import SOURCE, Expiring, Plan, World
from tests.simulation.settled import check_settled
from tests.simulation.tables import STATUSES, TAGS, TOTALS, Table
from tests.simulation.viewpool import Pooled, pool

FEW = 8
"""Actions: the ledger's row, a group's row, and what one item that moves, or has three members in a group, changes of
its members."""


class Derived(World):
    """Derived tables, beside their verification."""

    schemas: ClassVar = DERIVED

    def branch(self) -> DeriveBranch:
        """See `World`."""
        raise NotImplementedError

    def verify(self, repair: bool) -> Any:
        """As the command puts it together."""
        branch = self.branch()
        tables = branch.ledger.tables
        comparator, scan = Comparator(SOURCE, branch.views, tables, 0, self.pause), Scan(tables, Parallel(), 2)
        prepare(TableFormat(tables, branch.views), scan, SOURCE, repair)
        return Verify(comparator, scan, ("id",), repair=Repair(tables, branch.register) if repair else None).run()

    def reconcile(self, requests: Sequence[Reconcile]) -> list[Outcome]:
        """See `World`."""
        return reconciler(self.branch(), lambda *_: SOURCE, 0)(requests, self.deadline())


class DeriveWorld(Derived):
    """One to four views of the pool; `kinds` names them instead."""

    def __init__(self, seed: int, choices: Choices, plan: Plan, kinds: tuple[str, ...] = ()) -> None:
        super().__init__(seed, choices, plan)
        verified = bool(plan.repairs or plan.loses)
        pooled = pool(not verified and self.random.random() < 0.4, self.random.choice((1, 3)))
        chosen = self.random.sample(pooled, self.random.randint(1, 4))
        self.pooled: list[Pooled] = [p for p in pooled if p.declared.name in kinds] if kinds else chosen
        self.views = check([each.declared for each in self.pooled])
        self.oddities = not verified

    def image(self, random: Random) -> Image:
        """An item that some views cannot take, unless a repair is at work: it could say nothing of such. Where records
        are lost, all items are of one type: a view that lost an item's leaving hears of it no more."""
        type = random.choice("a" if self.plan.loses else "aab")
        image: Image = {"type": {"S": type}, "name": {"S": random.choice("xyz")}}
        if random.random() < 0.9:
            image["status"] = {"S": random.choice(STATUSES[:2])}
        if random.random() < 0.8:
            odd = self.oddities and random.random() < 0.05
            image["total"] = {"S": "much"} if odd else {"N": random.choice(TOTALS)}
        if random.random() < 0.7:
            image["tags"] = {"SS": sorted(random.sample(TAGS, random.randint(1, 3)))}
        if random.random() < 0.9:
            image["when"] = {"N": str(random.randint(-3, 3))}
        return image

    def delete(self, name: str) -> None:
        """By the application or by TTL."""
        if self.oddities and Random(f"{len(self.records)} {self.seed}").random() < 0.4:
            self.scheduler.pause()
            self.service.expire(TableName=SOURCE, Key={"id": {"S": name}})
        else:
            super().delete(name)

    def branch(self) -> DeriveBranch:
        """See `World`."""
        declared = [each.declared for each in self.pooled]
        return build(declared, derive_settings(), lambda _: self.dynamodb, Parallel())

    def check(self, when: str) -> None:
        """Recomputed from all that happened to the source."""
        table = Table()
        table.items = {key: image for (key,), image in self.service.state[SOURCE].items()}
        table.history = {name: [(0, image, False)] for name, image in self.held.items()}
        for record in self.records:
            body = record["dynamodb"]
            entry = (int(body["SequenceNumber"]), body.get("NewImage"), "userIdentity" in record)
            table.history.setdefault(body["Keys"]["id"]["S"], []).append(entry)
        try:
            check_settled(self.service, "derived", table, self.pooled, self.views)
        except AssertionError as error:
            raise AssertionError(f"{when}: {error}") from None


class SteppingWorld(DeriveWorld):
    """Transactions hold little more than one group with its members: most items are written in steps."""

    def run(self) -> None:
        """See `World`."""
        with mock.patch.object(transaction_queue, "ACTIONS", FEW):
            super().run()


class KeepingWorld(Expiring, DeriveWorld):
    """Views that keep what TTL takes."""

    def __init__(self, seed: int, choices: Choices, plan: Plan, kinds: tuple[str, ...] = ()) -> None:
        super().__init__(seed, choices, plan, kinds)
        names = {each.declared.name for each in self.pooled}
        self.pooled = [each for each in pool(True, self.random.choice((1, 3))) if each.declared.name in names]
        self.views = check([each.declared for each in self.pooled])
