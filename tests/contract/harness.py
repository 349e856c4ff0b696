"""What the contract must know of a branch: how it is built, and what is right downstream."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Protocol

from distributary.consumer.consume import Branch, Deployment
from distributary.consumer.parking import Parking
from distributary.consumer.streams import Streams
from distributary.consumer.telemetry import Telemetry
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.codec import Value, decode_item
from tests.contract.source import Item, Source
from tests.contract.world import World
from tests.fakes import s3
from tests.fakes.faults import Faults

Wrap = Callable[[Any, Any], Any]


def bare(client: Any, service: Any) -> Any:
    """A client as it is."""
    return client


class Harness(Protocol):
    """One per branch."""

    name: ClassVar[str]
    rejected: ClassVar[dict[str, Any]]
    """Attributes by which an item becomes one that this branch's declarations or its service will never accept."""
    sends: ClassVar[bool]
    """Whether it sends messages, which nothing takes back: a crash may leave a change parked as 'unknown'."""
    agrees: ClassVar[bool]
    """Whether regions agree by a rule: then no generation wins over it, and an item takes too many calls for all their
    orders to be tried (tests/simulation plays as many as one likes)."""
    begins_with: ClassVar[float]
    """Seconds of an invocation's time that must be left for another change to be begun."""

    def prepare(self, world: World, generation: int) -> None:
        """Makes what a deployment finds there."""

    def branch(self, world: World, wrap: Wrap, generation: int) -> Branch:
        """As `app.py` puts it together, over wrapped clients."""

    def check(self, world: World, source: Source, excused: Iterable[int] = (), generation: int = 0) -> None:
        """Fails unless what stands downstream is what the source determines, but for the excused users."""

    def held(self, world: World, source: Source, user: int) -> Any:
        """What stands downstream for one user."""

    def inject_faults(self, world: World, faults: Faults, source: Source, user: int) -> None:
        """The service is busy for what concerns this user, and for nobody else."""

    def clear_faults(self, world: World, faults: Faults) -> None:
        """All is well again."""


def deploy(harness: Harness, world: World, wrap: Wrap = bare, generation: int = 0) -> Deployment:
    """A function's environment, new."""
    harness.prepare(world, generation)
    parking = Parking(wrap(world.s3, s3), world.name("parking"), harness.name, world.parallel)
    return Deployment(harness.branch(world, wrap, generation), parking, Telemetry(harness.name), Streams(generation))


def plain(row: Item) -> dict[str, Value]:
    """A row's values without its version."""
    return decode_item({name: typed for name, typed in row.items() if name != REPLICA_VERSION})


def key_template(schema: Any) -> str:
    """Such as `{tenant:S}/{number:N}`."""
    return "/".join(f"{{{name}:{type}}}" for name, type in schema.items())
