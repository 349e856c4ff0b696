"""SNS: a topic, whose subscribers get the message, and text messages to phones."""

import re
from typing import Any, ClassVar, Self

from distributary.consumer.aws import AwsError
from distributary.errors import ConfigError, Rejected
from distributary.stream.struct import Struct
from distributary.welcome.channels.channel import Connections, meaning
from distributary.welcome.messages import PHONE, Message

_NEVER = {"InvalidParameter", "InvalidParameterValue", "ParameterValueInvalid", "OptedOut", "ValidationException"}
_SUBJECT_CHARACTERS = 100
EVENT = "distributary_event"
"""The attribute with the id of the change."""

_ASCII = re.compile(r"[^\x20-\x7e]")


class Topic(Struct, frozen=True):
    """Subject and text to all subscribers of the topic in the setting `WelcomeTopicArn`. A subject has at most 100
    ASCII characters; others become `?` (https://docs.aws.amazon.com/sns/latest/api/API_Publish.html). The channel has
    no recipients."""

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
        more: dict[str, Any] = {"Subject": subject} if subject else {}
        if message.event:
            more["MessageAttributes"] = {EVENT: {"DataType": "String", "StringValue": message.event}}
        return _published(self.client, TopicArn=self.arn, Message=message.text, **more)


_NO_PHONES = ("+800", "+808", "+870", "+878", "+881", "+882", "+883", "+888", "+979", "+991")
"""Ranges of no country: shared cost, satellite networks, universal personal numbers, premium rate.
https://www.itu.int/pub/T-SP-E.164D"""

_PREMIUM = re.compile(
    r"\+(1(900|976)|31(900|906|909)|32(90|70)|33(89|81|82)|34(80[367]|90[57])|351(601|607|608|646|760|761|762)"
    r"|353(15)|39(89|899|144|166)|41(90[016])|43(90[01]|93)|44(9|70|84|87)|45(90)|46(900|939|944|99)|47(82)"
    r"|48(70)|49(900|137|180|19)|61(190)|64(900)|81(990)|82(60|70060))"
)
"""Premium-rate and shared-cost ranges in the countries that most text messages go to."""


class Sms(Struct, frozen=True):
    """The text alone, to one phone, as a transactional message. The recipient is a number in E.164, such as
    `+491701234567` (https://docs.aws.amazon.com/sns/latest/dg/sns-mobile-phone-number-as-subscriber.html). It must
    begin with one of the calling codes of the setting `WelcomeSmsCallingCodes`. Numbers in the satellite and
    premium-rate ranges that this class lists park the change. Set a spending limit in SNS as well
    (https://docs.aws.amazon.com/sns/latest/dg/sms_preferences.html)."""

    recipient: ClassVar[re.Pattern[str] | None] = PHONE
    templates: ClassVar[bool] = False

    client: Any
    calling_codes: tuple[str, ...]

    @classmethod
    def connect(cls, connections: Connections) -> Self:
        """See `Channel`."""
        if not connections.settings.sms_calling_codes:
            raise ConfigError(
                "a rule sends text messages: set SMS_CALLING_CODES (WelcomeSmsCallingCodes), as in +49,+43"
            )
        return cls(connections.client("sns"), connections.settings.sms_calling_codes)

    def send(self, message: Message) -> str:
        """See `Channel`."""
        if not message.to.startswith(self.calling_codes):
            raise Rejected("the phone number begins with none of WelcomeSmsCallingCodes")
        if message.to.startswith(_NO_PHONES) or _PREMIUM.match(message.to):
            raise Rejected("the phone number is in a satellite or premium-rate range")
        kind = {"AWS.SNS.SMS.SMSType": {"DataType": "String", "StringValue": "Transactional"}}
        return _published(self.client, PhoneNumber=message.to, Message=message.text, MessageAttributes=kind)


def _published(client: Any, **request: Any) -> str:
    try:
        return str(client.publish(**request)["MessageId"])
    except AwsError as error:
        raise meaning(error, "SNS Publish", _NEVER) from error
