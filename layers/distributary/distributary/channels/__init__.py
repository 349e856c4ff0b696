"""How a message goes out, and what is known when it did not. A channel is a class; a rule names it."""

from distributary.channels.channel import Channel, Connections, MaybeSent
from distributary.channels.events import EventBridge
from distributary.channels.ses import Ses
from distributary.channels.sns import Sms, Topic

__all__ = ["Channel", "Connections", "EventBridge", "MaybeSent", "Ses", "Sms", "Topic"]
