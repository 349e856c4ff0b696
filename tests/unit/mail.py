"""The welcome branch over fakes, for unit tests: tables, a mailbox, and a clock."""

from typing import Any

from distributary.consumer.deadline import Deadline
from distributary.stream.entity import Entity
from distributary.welcome.branch import WelcomeBranch
from distributary.welcome.channels import Ses
from distributary.welcome.claims import Claims
from distributary.welcome.messages import Content
from distributary.welcome.rate_limit import Pace
from distributary.welcome.rules import Rule, check
from distributary.welcome.suppressions import Suppressions
from tests.fakes import ses
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.serial import Serial
from tests.unit.records import CREATED

AMPLE = Deadline(60.0, 0.0, lambda: 0.0)
USER = Entity(name="user", keys=("user_id",), attributes=("email", "name", "visits", "status", "news", "language"))
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
        dynamodb = client or self.client
        sender = self.channel or Ses(mail or self.mail, "hello@example.com")
        return WelcomeBranch(
            self.rules,
            Claims(dynamodb, "claims", 30, lambda: self.clock),
            Suppressions(dynamodb, "claims", lambda: self.clock),
            {each.channel: sender for each in self.rules},
            Pace(self.rate),
            Serial(),
            3600,
            lambda: self.clock,
        )

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
