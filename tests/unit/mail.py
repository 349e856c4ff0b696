"""The welcome branch over fakes, for unit tests: tables, a mailbox, and a clock."""

from typing import Any

from distributary.consumer.deadline import Deadline
from distributary.stream.change import Kind
from distributary.stream.entity import Entity
from distributary.welcome.branch import WelcomeBranch
from distributary.welcome.factory import build
from distributary.welcome.messages import Content
from distributary.welcome.rate_limit import Pace
from distributary.welcome.rules import Rule, check
from distributary.welcome.settings import WelcomeSettings
from distributary.welcome.suppressions import Suppressions
from tests.fakes import ses
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.serial import Serial
from tests.fakes.streaming import CREATED
from tests.replaced import replace

AMPLE = Deadline(60.0, 0.0, lambda: 0.0)
USER = Entity(name="user", keys=("user_id",), attributes=("email", "name", "visits", "status", "news", "language"))
SETTINGS = WelcomeSettings(
    parking_bucket="parking",
    generation=0,
    claim_table="claims",
    claim_days=30,
    max_age_seconds=3600,
    event_names=frozenset(Kind),
    send_rate=1e9,
    concurrency=1,
    sender="hello@example.com",
    reply_to="",
    configuration_set="",
    topic_arn="",
    sms_calling_codes=(),
    event_bus="",
)
PLAIN = Content("Welcome, {{name}}", "Hello {{name}}!")


def rule(**changes: Any) -> Rule:
    """The usual one, changed."""
    return Rule(**{"name": "welcome", "of": USER, "to": "email", "content": {"en": PLAIN}, **changes})


def user(**attributes: Any) -> dict[str, Any]:
    """A user's attributes beside the key, DynamoDB JSON."""
    return {"email": {"S": "ada@example.com"}, "name": {"S": "Ada"}, **attributes}


class Office:
    """`mail.state` is what went out. Its clock begins a second after the records' creation."""

    def __init__(self, *rules: Rule, rate: float = 1e9, client: Any = None, channel: Any = None) -> None:
        self.client, self.mail, self.clock = client or DynamoDB({"claims": {"id": "S"}}), ses.Ses(), CREATED + 1.0
        self.rules, self.rate = check(rules or [rule()]), rate
        self.channel = channel

    def branch(self, client: Any = None, mail: Any = None) -> WelcomeBranch:
        """As app.py puts it together, over wrapped clients if any are given."""
        clients = {"dynamodb": client or self.client, "sesv2": mail or self.mail}
        branch = build(
            self.rules, SETTINGS, lambda service, **_: clients[service], Serial(), lambda: self.clock, Pace(self.rate)
        )
        return replace(branch, channels=dict.fromkeys(branch.channels, self.channel)) if self.channel else branch

    @property
    def suppressions(self) -> Suppressions:
        """What the suppress function writes."""
        return Suppressions(self.client, "claims", lambda: self.clock)

    def apply(self, *changes: Any, deadline: Deadline = AMPLE) -> list[Any]:
        """By a new execution environment."""
        return self.branch().apply(changes, deadline)

    def statuses(self, *changes: Any) -> list[str]:
        """The outcomes' names."""
        return [end.status.value for end in self.apply(*changes)]

    @property
    def sent(self) -> list[str]:
        """To whom, in order."""
        return [to for to, _, _ in self.mail.state]
