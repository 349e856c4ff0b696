"""SNS: a topic, whose subscribers get the message, and text messages to phones."""

import re
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from distributary.consumer.aws import AwsError
from distributary.errors import ConfigError
from distributary.welcome.channels.channel import Connections, meaning
from distributary.welcome.messages import PHONE, Message

_NEVER = {"InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid", "OptedOut", "ValidationException"}
_SUBJECT_CHARACTERS = 100
_ASCII = re.compile(r"[^\x20-\x7e]")


@dataclass(frozen=True, slots=True)
class Topic:
    """Subject and text to all subscribers of one topic.
    https://docs.aws.amazon.com/sns/latest/api/API_Publish.html"""

    recipient: ClassVar[re.Pattern[str] | None] = None
    templates: ClassVar[bool] = False

    client: Any
    arn: str

    @classmethod
    def connect(cls, connections: Connections) -> Self:
        """See `Channel`."""
        if not connections.settings.topic_arn:
            raise ConfigError("a rule sends to a topic: set TOPIC_ARN (WelcomeTopicArn)")
        return cls(connections.client("sns"), connections.settings.topic_arn)

    def send(self, message: Message) -> str:
        """See `Channel`. A subject there is at most 100 printable ASCII characters: others become `?`."""
        subject = _ASCII.sub("?", message.subject).strip()[:_SUBJECT_CHARACTERS]
        return _published(
            self.client, TopicArn=self.arn, Message=message.text, **({"Subject": subject} if subject else {})
        )


@dataclass(frozen=True, slots=True)
class Sms:
    """The text alone, to one phone."""

    recipient: ClassVar[re.Pattern[str] | None] = PHONE
    templates: ClassVar[bool] = False

    client: Any

    @classmethod
    def connect(cls, connections: Connections) -> Self:
        """See `Channel`."""
        return cls(connections.client("sns"))

    def send(self, message: Message) -> str:
        """See `Channel`."""
        return _published(self.client, PhoneNumber=message.to, Message=message.text)


def _published(client: Any, **request: str) -> str:
    try:
        return str(client.publish(**request)["MessageId"])
    except AwsError as error:
        raise meaning(error, "SNS Publish", _NEVER) from error
