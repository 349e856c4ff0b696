"""EventBridge: the message as an event, so that any other system can send it."""

import json
import re
from typing import Any, ClassVar, Self

from distributary.consumer.aws import AwsError
from distributary.errors import ConfigError, Rejected, Unavailable
from distributary.stream.struct import Struct
from distributary.welcome.channels.channel import Connections, MaybeSent, meaning
from distributary.welcome.messages import Message

SOURCE = "distributary.welcome"
_NEVER = {"ValidationException", "MalformedDetail", "InvalidArgument"}
_MAY_BE_THERE = {"InternalFailure", "InternalException"}


class EventBridge(Struct, frozen=True):
    """An event on the bus of the setting `WelcomeEventBus`, with source `distributary.welcome` and the rule's name as
    detail type. Its detail has `id`, `event`, `rule`, `values`, `subject`, `text`, `html` and `template`. An event may
    come twice, with the same `id` (https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html).
    The channel has no recipients."""

    recipient: ClassVar[re.Pattern[str] | None] = None
    templates: ClassVar[bool] = True

    client: Any
    bus: str

    @classmethod
    def connect(cls, connections: Connections) -> Self:
        """See `Channel`."""
        if not connections.settings.event_bus:
            raise ConfigError("a rule sends events: set EVENT_BUS (WelcomeEventBus)")
        return cls(connections.client("events"), connections.settings.event_bus)

    def send(self, message: Message) -> str:
        """See `Channel`. A refused entry comes back with an answer of 200."""
        texts = {"subject": message.subject, "text": message.text, "html": message.html, "template": message.stored}
        detail = {
            "id": message.id,
            "event": message.event,
            "rule": message.rule,
            "values": dict(message.values),
            **texts,
        }
        entry = {
            "EventBusName": self.bus,
            "Source": SOURCE,
            "DetailType": message.rule,
            "Detail": json.dumps(detail, ensure_ascii=False),
        }
        try:
            (answer,) = self.client.put_events(Entries=[entry])["Entries"]
        except AwsError as error:
            raise meaning(error, "EventBridge PutEvents", _NEVER) from error
        if "EventId" in answer:
            return str(answer["EventId"])
        code, detail_text = answer.get("ErrorCode", "Unknown"), str(answer.get("ErrorMessage", ""))
        kind = Rejected if code in _NEVER else MaybeSent if code in _MAY_BE_THERE else Unavailable
        raise kind(f"EventBridge PutEvents: {code}", detail_text)
