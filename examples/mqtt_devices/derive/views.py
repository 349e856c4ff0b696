"""What is kept of an MQTT broker's table: presence of each device, its messages per hour, its connections per day."""

from distributary.derive import Aggregate, Entity, Latest, date_trunc, type_is

ATTRIBUTES = ("clientid", "event", "timestamp", "node", "reason")
STATES = {"client.connected": "online", "client.disconnected": "offline"}


def is_of_a_connection(record):
    """Whether a record says that a client came or went."""
    return record.get("event") in STATES


MESSAGE = Entity(
    name="message", keys=("id",), attributes=ATTRIBUTES, where=type_is("message.publish", attribute="event")
)
CONNECTION = Entity(name="connection", keys=("id",), attributes=ATTRIBUTES, where=is_of_a_connection)
CONNECTED = Entity(
    name="connected", keys=("id",), attributes=ATTRIBUTES, where=type_is("client.connected", attribute="event")
)

VIEWS = [
    Latest(
        name="presence",
        of=CONNECTION,
        pk="DEVICE#{clientid}",
        sk="PRESENCE",
        by="timestamp",
        keep=("timestamp", "node", "reason"),
        compute={"state": lambda record: STATES[record["event"]]},
    ),
    Aggregate(
        name="messages",
        of=MESSAGE,
        pk="DEVICE#{clientid}",
        sk="HOUR#{hour}",
        compute={"hour": date_trunc("timestamp", "hour", unit="milliseconds")},
        count="messages",
    ),
    Aggregate(
        name="connections",
        of=CONNECTED,
        pk="DEVICE#{clientid}",
        sk="DAY#{day}",
        compute={"day": date_trunc("timestamp", "day", unit="milliseconds")},
        count="connections",
    ),
]
