"""How a message is sent, and what is known when it was not. A channel is a class; a rule names it."""

from distributary.welcome.channels.channel import Channel, Connections, MaybeSent
from distributary.welcome.channels.events import EventBridge
from distributary.welcome.channels.ses import Ses
from distributary.welcome.channels.sns import Sms, Topic

__all__ = ["Channel", "Connections", "EventBridge", "MaybeSent", "Ses", "Sms", "Topic"]
