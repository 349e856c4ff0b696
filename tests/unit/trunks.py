"""A trunk over fakes: branches that answer what a test tells them, its bucket, and its table of breakers."""

import json
from collections.abc import Mapping
from typing import Any

from distributary.consumer.consume import Deployment
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.streams import Streams
from distributary.consumer.telemetry import Telemetry
from distributary.readers.parked import Parked
from distributary.trunk.breaker import Breakers
from distributary.trunk.deferred import Deferral, Store
from distributary.trunk.trunk import Limb, Trunk
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.s3 import S3
from tests.fakes.streaming import CREATED
from tests.unit.branches import Bucket

AFTER = 60.0


class Clock:
    """Both of a process's clocks."""

    def __init__(self, now: float = CREATED) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


class Bench:
    """`branches` by name; all is as it was left by the test before the next batch."""

    def __init__(self, branches: Mapping[str, Any], s3: Any = None, parking: Any = None) -> None:
        self.clock, self.s3, self.parking = Clock(), s3 or S3("deferred"), parking or Bucket()
        self.dynamodb = DynamoDB({"breakers": {"id": "S"}})
        self.store = Store(self.s3, "deferred")
        self.branches = branches

    def breakers(self) -> Breakers:
        """Those of a new environment."""
        return Breakers(self.dynamodb, "breakers", tuple(self.branches), AFTER, self.clock, self.clock)

    def trunk(self, streams: Streams | None = None) -> Trunk:
        """A new environment."""
        listed = streams or Streams(0)
        limbs = tuple(self._limb(name, branch, listed) for name, branch in self.branches.items())
        return Trunk(limbs, Streams(0), self.breakers(), Parallel(len(limbs)))

    def _limb(self, name: str, branch: Any, streams: Streams) -> Limb:
        parking = Parking(self.parking, "parking", name, Parallel(2))
        return Limb(branch, parking, Telemetry(name), streams, Deferral(self.store, name), AFTER, self.clock)

    def state(self, branch: str = "derive") -> str:
        """Of a branch's breaker."""
        return str(self.breakers().read()[branch].state)

    def deferred(self, branch: str = "derive") -> list[Parked]:
        """All changes that the bucket holds of a branch."""
        return [change for place in self.store.places(branch) for change in self.store.read(branch, place)]


def deployment(branch: Any, name: str, **more: Any) -> Deployment:
    """A branch's own function."""
    parking = Parking(Bucket(), "parking", name, Parallel(2))
    return Deployment(branch, parking, Telemetry(name), Streams(0), **more)


def counts(capsys: Any) -> dict[str, dict[str, int]]:
    """What was published since the last look, by branch."""
    found: dict[str, dict[str, int]] = {}
    for line in capsys.readouterr().out.splitlines():
        metrics = json.loads(line)
        if "_aws" in metrics:
            own = found.setdefault(metrics["branch"], {})
            for name, value in metrics.items():
                if isinstance(value, list):
                    own[name] = own.get(name, 0) + int(value[0])
    return found
