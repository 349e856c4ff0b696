"""Messages for what happens to an item, each sent once."""

from distributary.stream.entity import Entity
from distributary.stream.predicates import electro_entity, key_prefix, type_is
from distributary.welcome.channels import EventBridge, Ses, Sms, Topic
from distributary.welcome.messages import Content, Stored, contents
from distributary.welcome.rules import Rule, check
from distributary.welcome.triggers import EXPIRED, INSERTED, became

__all__ = [
    "EXPIRED",
    "INSERTED",
    "Content",
    "Entity",
    "EventBridge",
    "Rule",
    "Ses",
    "Sms",
    "Stored",
    "Topic",
    "became",
    "check",
    "contents",
    "electro_entity",
    "key_prefix",
    "type_is",
]
