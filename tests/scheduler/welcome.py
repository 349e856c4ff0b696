"""Messages to new persons, each once."""

from collections import Counter
from random import Random
from typing import Any, ClassVar

from distributary.consumer.parallel import Parallel
from distributary.welcome import Content, Entity, Rule
from distributary.welcome.claims import MAX_SENDS
from distributary.welcome.factory import build
from tests.fakes import ses
from tests.fakes.ses import Ses
from tests.replaced import replace
from tests.scheduler.choices import Choices
from tests.scheduler.world import Plan, World
from tests.unit.mail import SETTINGS

PERSON = Entity(name="person", keys=("id",), attributes=("email",))
RULE = Rule(name="welcome", of=PERSON, to="email", content={"en": Content("Welcome", "Hello", "<p>Hello</p>")})
DAY_LONG = replace(SETTINGS, max_age_seconds=86_400, send_rate=1000.0)
RESENT = replace(RULE, on_unknown="resend")


class WelcomeWorld(World):
    """Whoever is inserted is greeted once; an item has one address for ever."""

    schemas: ClassVar = {"claims": {"id": "S"}}
    rule: ClassVar[Rule] = RULE
    most: ClassVar[int] = 1

    def __init__(self, seed: int, choices: Choices, plan: Plan) -> None:
        super().__init__(seed, choices, plan)
        self.ses = Ses()
        self.mail = self.scheduler.client(self.ses, ses)

    def image(self, random: Random) -> dict[str, Any]:
        """See `World`."""
        return {"name": {"S": random.choice("xyz")}}

    def put(self, name: str, image: dict[str, Any]) -> None:
        """See `World`."""
        super().put(name, {**image, "email": {"S": f"{name}@example.com"}})

    def branch(self) -> Any:
        """See `World`."""
        clients = {"dynamodb": self.dynamodb, "sesv2": self.mail}
        return build([self.rule], DAY_LONG, lambda service, **_: clients[service], Parallel())

    def check(self, when: str) -> None:
        """One message to each; at most one to those for whom nobody can know, which are parked."""
        sent = Counter(to for to, _, _ in self.ses.state)
        bodies = [record["dynamodb"] for record in self.records if record["eventName"] == "INSERT"]
        new = {body["Keys"]["id"]["S"] for body in bodies}
        unknown = {record["dynamodb"]["Keys"]["id"]["S"] for record in self.parked}
        wrong = {n: sent[f"{n}@example.com"] for n in new if not self._right(sent[f"{n}@example.com"], n in unknown)}
        assert not wrong, f"{when}: messages to each {wrong}, unknown {unknown}"
        assert set(sent) <= {f"{name}@example.com" for name in new}

    def _right(self, sent: int, unknown: bool) -> bool:
        return (0 if unknown else 1) <= sent <= self.most


class ResendWorld(WelcomeWorld):
    """The rule sends again what may not have been sent: one to three messages to each, none only to who is parked."""

    rule: ClassVar[Rule] = RESENT
    most: ClassVar[int] = MAX_SENDS
