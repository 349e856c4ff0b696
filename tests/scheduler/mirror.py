"""A mirror of the source in another region, beside its verification."""

from collections.abc import Sequence
from typing import Any, ClassVar

from distributary.consumer.outcome import Outcome
from distributary.consumer.parallel import Parallel
from distributary.consumer.reconcile import Reconcile
from distributary.replicate import Mirror
from distributary.replicate.factory import build, reconciler
from distributary.replicate.reconcile import MirrorReconciler
from distributary.replicate.verify.comparison import of_mirror
from distributary.replicate.verify.recheck_queue import RecheckQueue
from distributary.replicate.verify.repair import by_reconciling
from distributary.replicate.verify.table import Side
from distributary.replicate.verify.verifier import Verify
from distributary.stream.change import REPLICA_VERSION
from tests.fakes.built import replicate_settings
from tests.scheduler.world import SOURCE, Expiring, World


class MirrorWorld(World):
    """All of the source's items."""

    schemas: ClassVar = {"replica": {"id": "S"}, "tombstones": {"id": "S"}}
    declared = Mirror()

    def branch(self) -> Any:
        """See `World`."""
        return build(self.declared, replicate_settings(), lambda *_, **__: self.dynamodb, Parallel(), lambda: None)

    def verify(self, repair: bool) -> Any:
        """As the command puts it together."""
        mirror = self.branch()
        sides = Side(self.dynamodb, SOURCE), Side(self.dynamodb, "replica", name="replica")
        eye = of_mirror(mirror, *sides, 0, ("id",))
        mending = by_reconciling(MirrorReconciler(mirror, eye)) if repair else None
        return Verify(eye, RecheckQueue(self.pause), Parallel(), mending, Parallel()).scan(range(2), 2)

    def reconcile(self, requests: Sequence[Reconcile]) -> list[Outcome]:
        """See `World`."""
        reconcile = reconciler(self.branch(), lambda *_, **__: self.dynamodb, lambda: SOURCE, 0)
        return reconcile(requests, self.deadline())

    def check(self, when: str) -> None:
        """Both tables hold the same."""
        stands = {
            key: {name: typed for name, typed in row.items() if name != REPLICA_VERSION}
            for key, row in self.service.state["replica"].items()
        }
        right = self.service.state[SOURCE]
        assert stands == right, f"{when}:\n  stands {stands}\n  right  {right}"


class KeepingWorld(Expiring, MirrorWorld):
    """A mirror that keeps what TTL takes."""

    declared = Mirror(expired="ignore")

    def check(self, when: str) -> None:
        """The source's items, and the last images of those that TTL took."""
        right = dict(self.service.state[SOURCE])
        last = {record["dynamodb"]["Keys"]["id"]["S"]: record for record in self.records}
        right |= {(name,): each["dynamodb"]["OldImage"] for name, each in last.items() if "userIdentity" in each}
        rows = self.service.state["replica"]
        stands = {key: {n: typed for n, typed in row.items() if n != REPLICA_VERSION} for key, row in rows.items()}
        assert stands == right, f"{when}:\n  stands {stands}\n  right  {right}"
