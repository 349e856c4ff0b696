"""E-mail through SES v2."""

import json
import re
from typing import Any, ClassVar, Self

from distributary.consumer.aws import AwsError
from distributary.stream.struct import Struct
from distributary.welcome.channels.channel import Connections, meaning
from distributary.welcome.messages import ADDRESS, Message

_NEVER = {"MessageRejected", "BadRequestException"}
"""A refused address, content that SES does not take, a template's variable that is missing."""

_OF_DEPLOYMENT = re.compile(r"not verified|template\b.*does not exist|configuration set", re.IGNORECASE)
"""What a refusal says that is no fault of the message: an identity that is not verified, a template that is missing."""

EVENT_TAG = "distributary_event"
"""The tag with the id of the change. SES takes 50, and a rule has at most 49."""

_TAG = re.compile(r"[A-Za-z0-9_-]{1,256}")
"""A value of a tag: https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_MessageTag.html"""


class Ses(Struct, frozen=True):
    """An e-mail through SES v2, with subject, text and HTML, or with a stored template
    (https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html). The recipient is one address of plain
    ASCII, at most 254 characters. Sender and reply address are the settings `WelcomeSender` and `WelcomeReplyTo`."""

    recipient: ClassVar[re.Pattern[str] | None] = ADDRESS
    templates: ClassVar[bool] = True

    client: Any
    sender: str
    reply_to: str = ""
    configuration_set: str = ""

    @classmethod
    def connect(cls, connections: Connections) -> Self:
        """See `Channel`."""
        settings = connections.settings
        return cls(connections.client("sesv2"), settings.sender, settings.reply_to, settings.configuration_set)

    def send(self, message: Message) -> str:
        """See `Channel`."""
        try:
            answer = self.client.send_email(**self._request(message))
        except AwsError as error:
            never = set() if _OF_DEPLOYMENT.findall(str(error)) else _NEVER
            raise meaning(error, "SES SendEmail", never) from error
        return str(answer["MessageId"])

    def _request(self, message: Message) -> dict[str, Any]:
        request: dict[str, Any] = {
            "FromEmailAddress": self.sender,
            "Destination": {"ToAddresses": [message.to]},
            "Content": _content(message),
        }
        if self.reply_to:
            request["ReplyToAddresses"] = [self.reply_to]
        if self.configuration_set:
            request["ConfigurationSetName"] = self.configuration_set
        if tags := _tags(message):
            request["EmailTags"] = [{"Name": name, "Value": value} for name, value in tags.items()]
        return request


def _tags(message: Message) -> dict[str, str]:
    """The rule's, and the event's id if SES takes it, as it takes those of streams."""
    own = {EVENT_TAG: message.event} if _TAG.fullmatch(message.event) else {}
    return {**own, **message.tags}


def _content(message: Message) -> dict[str, Any]:
    if message.stored is not None:
        data = json.dumps(dict(message.values), ensure_ascii=False)
        return {"Template": {"TemplateName": message.stored, "TemplateData": data}}
    body = {"Text": _utf8(message.text), **({"Html": _utf8(message.html)} if message.html is not None else {})}
    return {"Simple": {"Subject": _utf8(message.subject), "Body": body}}


def _utf8(text: str) -> dict[str, str]:
    return {"Data": text, "Charset": "UTF-8"}
