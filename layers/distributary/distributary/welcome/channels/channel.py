"""What every channel is, and what the answers of the services behind them mean."""

import re
from collections.abc import Callable
from typing import Any, ClassVar, Protocol, Self

from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError

from distributary.consumer.aws import code_of
from distributary.errors import DistributaryError, Rejected, Unavailable
from distributary.stream.struct import Struct
from distributary.welcome.messages import Message
from distributary.welcome.settings import WelcomeSettings

_NEVER_LEFT = (ConnectTimeoutError, EndpointConnectionError)


class MaybeSent(DistributaryError):
    """The request was interrupted, so it is unknown whether the message was sent. `Rule.on_unknown` decides."""


class Connections(Struct, frozen=True):
    """What a channel is made of.

    Attributes:
        settings: The settings of the function welcome.
        client: Makes a boto3 client of a service, such as `client("sesv2")`. It tries each request once: a retry by the
            SDK could send a message twice.
    """

    settings: WelcomeSettings
    client: Callable[[str], Any]


class Channel(Protocol):
    """A way to send messages. Write a class with these members for a provider of your own.

    Attributes:
        recipient: The pattern that a whole recipient matches; None if the channel has no recipients.
        templates: Whether the provider keeps templates, so that a rule may use `Stored`.
    """

    recipient: ClassVar[re.Pattern[str] | None]
    templates: ClassVar[bool]

    @classmethod
    def connect(cls, connections: Connections) -> Self:
        """Makes the channel when the function starts.

        Raises:
            ConfigError: A setting is missing. The function does not start.
        """

    def send(self, message: Message) -> str:
        """Sends a message, in one try.

        Returns:
            The provider's id of the message.

        Raises:
            Rejected: It can never be sent. The change is parked.
            Unavailable: It was certainly not sent. Lambda delivers the change again.
            MaybeSent: It is unknown whether it was sent.
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
