"""A mirror of the source in another region, beside its verification."""

from typing import Any

from distributary.consumer.parallel import Parallel
from distributary.dynamodb.tombstones import Tombstones
from distributary.dynamodb.versioned_table import Register
from distributary.replicate.mirror import Replica
from distributary.replicate.verify.comparison import Eye
from distributary.replicate.verify.recheck_queue import Suspects
from distributary.replicate.verify.repair import Repair
from distributary.replicate.verify.table import Side
from distributary.replicate.verify.verifier import Verify
from distributary.stream.change import REPLICA_VERSION
from tests.scheduler.world import SOURCE, World

PAUSE = 10.0


class MirrorWorld(World):
    """All of the source's items."""

    schemas = {"replica": {"id": "S"}, "tombstones": {"id": "S"}}

    def branch(self) -> Replica:
        """As app.py puts it together."""
        tombstones = Tombstones(self.dynamodb, "tombstones", 7)
        return Replica(Register(self.dynamodb, "replica", tombstones, Parallel()), "eu-west-1/replica")

    def verify(self, repair: bool) -> Any:
        """As the command puts it together."""
        mirror = self.branch()
        eye = Eye(Side(self.dynamodb, SOURCE), Side(self.dynamodb, "replica", name="replica"), ("id",), mirror.plan)
        mending = Repair(mirror.register, 0) if repair else None
        return Verify(eye, Suspects(PAUSE), Parallel(), mending, Parallel()).scan(range(2), 2)

    def check(self, when: str) -> None:
        """Both tables hold the same."""
        stands = {
            key: {name: typed for name, typed in row.items() if name != REPLICA_VERSION}
            for key, row in self.service.state["replica"].items()
        }
        right = self.service.state[SOURCE]
        assert stands == right, f"{when}:\n  stands {stands}\n  right  {right}"
