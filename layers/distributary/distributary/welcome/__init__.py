"""Messages for what happens to an item, each sent once."""

from distributary.stream.entity import Entity
from distributary.stream.predicates import electro_entity, key_prefix, type_is
from distributary.welcome.channels import Channel, Connections, EventBridge, MaybeSent, Ses, Sms, Topic
from distributary.welcome.messages import Content, Message, Stored, contents
from distributary.welcome.rules import Rule, check, compose
from distributary.welcome.triggers import EXPIRED, INSERTED, became

__all__ = [
    "EXPIRED",
    "INSERTED",
    "Channel",
    "Connections",
    "Content",
    "Entity",
    "EventBridge",
    "MaybeSent",
    "Message",
    "Rule",
    "Ses",
    "Sms",
    "Stored",
    "Topic",
    "became",
    "check",
    "compose",
    "contents",
    "electro_entity",
    "key_prefix",
    "type_is",
]
