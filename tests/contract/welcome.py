"""The contract's welcome branch: one message for each new person."""

from collections import Counter
from collections.abc import Iterable
from typing import Any, ClassVar

from distributary.stream.entity import Entity
from distributary.welcome.branch import SEND_SECONDS, WelcomeBranch
from distributary.welcome.factory import build
from distributary.welcome.messages import Content
from distributary.welcome.rate_limit import Pace
from distributary.welcome.rules import Rule
from tests.contract.harness import Wrap
from tests.contract.source import Source, address
from tests.contract.world import World
from tests.fakes import dynamodb, ses
from tests.fakes.faults import Faults, throttled
from tests.replaced import replace
from tests.unit.mail import SETTINGS


def rules(schema: dict[str, str]) -> list[Rule]:
    """Persons are greeted, robots are not."""
    person = Entity(
        name="person", keys=tuple(schema), attributes=("email", "name"), where=lambda item: item.get("kind") != "robot"
    )
    content = Content("Welcome", "Hello {{email}}", "<p>Hello {{email}}</p>")
    return [Rule(name="welcome", of=person, to="email", content={"en": content})]


class Unhurried(Pace):
    """As fast as the fakes are; a refusal shuts nothing, so that the next try follows at once."""

    def __init__(self) -> None:
        super().__init__(1e9)

    def refused(self) -> None:
        """See `Pace`."""


class WelcomeHarness:
    """See `Harness`. What is right: one message to each person whom the stream saw inserted, and to nobody else; for
    want of certainty, after a crash or a lost answer, at most one, and the change parked as 'unknown'."""

    name: ClassVar[str] = "welcome"
    rejected: ClassVar[dict[str, Any]] = {"email": {"S": "sentinel, and no address"}}
    sends: ClassVar[bool] = True
    agrees: ClassVar[bool] = False
    begins_with: ClassVar[float] = SEND_SECONDS

    def prepare(self, world: World, generation: int) -> None:
        """See `Harness`."""

    def branch(self, world: World, wrap: Wrap, generation: int) -> WelcomeBranch:
        """See `Harness`."""
        client, table = wrap(world.dynamodb, dynamodb), world.name("claims")
        settings = replace(SETTINGS, claim_table=table, sender=f"{world.name('')}sender@example.com")
        clients = {"dynamodb": client, "sesv2": wrap(world.ses, ses)}
        declared, parallel = rules(world.schema), world.parallel
        return build(declared, settings, lambda service, **_: clients[service], parallel, world.now, Unhurried())

    def check(self, world: World, source: Source, excused: Iterable[int] = (), generation: int = 0) -> None:
        """See `Harness`."""
        sent = Counter(world.messages())
        unknown = {source.user_of(each["record"]) for each in world.parked(self.name) if "unknown" in each["cause"]}
        new = self.newcomers(source)
        for user in new - set(excused) - unknown:
            assert sent[address(user)] == 1, f"user {user} has {sent[address(user)]} messages"
        for user in new & unknown:
            assert sent[address(user)] <= 1, f"user {user} has {sent[address(user)]} messages"
        assert set(sent) <= {address(user) for user in new}

    def held(self, world: World, source: Source, user: int) -> Any:
        """See `Harness`."""
        return world.messages().count(address(user))

    def inject_faults(self, world: World, faults: Faults, source: Source, user: int) -> None:
        """See `Harness`."""
        to = [address(user)]
        faults.when(lambda _, arguments: arguments.get("Destination", {}).get("ToAddresses") == to, throttled)

    def clear_faults(self, world: World, faults: Faults) -> None:
        """See `Harness`."""
        faults.cease()

    def newcomers(self, source: Source) -> set[int]:
        """The persons whom the stream saw inserted."""
        inserts = [record for record in source.records if record["eventName"] == "INSERT"]
        return {source.user_of(record) for record in inserts if record["dynamodb"]["NewImage"]["kind"]["S"] != "robot"}
