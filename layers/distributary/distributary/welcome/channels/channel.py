"""What every channel is, and what the answers of the services behind them mean."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, Self

from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError

from distributary.consumer.aws import code_of
from distributary.errors import DistributaryError, Rejected, Unavailable
from distributary.welcome.messages import Message
from distributary.welcome.settings import WelcomeSettings

_NEVER_LEFT = (ConnectTimeoutError, EndpointConnectionError)


class MaybeSent(DistributaryError):
    """The request was interrupted: it is unknown whether the message was sent."""


@dataclass(frozen=True, slots=True)
class Connections:
    """What channels are made of. `client` makes a boto3 client of a service that makes one try only: a retry by the
    SDK could send twice."""

    settings: WelcomeSettings
    client: Callable[[str], Any]


class Channel(Protocol):
    """`recipient` is what a recipient looks like as a whole, None if the channel has none; `templates` says whether
    there are templates at the other end, so that a rule may name one."""

    recipient: ClassVar[re.Pattern[str] | None]
    templates: ClassVar[bool]

    @classmethod
    def connect(cls, connections: Connections) -> Self:
        """Raises ConfigError for a setting that is missing."""

    def send(self, message: Message) -> str:
        """The provider's message id.

        Raises Rejected if it can never be sent, Unavailable if it certainly was not this time, else MaybeSent.
        """


def meaning(error: Exception, call: str, never: set[str]) -> Rejected | Unavailable | MaybeSent:
    """Of what a service answered: codes of `never` are the message's own fault; any other refusal is a matter of
    time or deployment; what broke off after it left, or failed inside the service, may have been sent."""
    code = code_of(error)
    cause, detail = f"{call}: {code}", str(error)
    if code in never:
        return Rejected(cause, detail)
    if isinstance(error, _NEVER_LEFT):
        return Unavailable(cause, detail)
    if isinstance(error, ClientError) and error.response["ResponseMetadata"].get("HTTPStatusCode", 500) < 500:
        return Unavailable(cause, detail)
    return MaybeSent(cause, detail)
