"""The table `mqtt_msg` and its writer: what EMQX's DynamoDB sink makes of messages and of clients' events.

https://docs.emqx.com/en/emqx/latest/data-integration/data-bridge-dynamo.html"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TABLE: Mapping[str, Any] = {
    "TableName": "mqtt_msg",
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}
PUBLISHED, CONNECTED, DISCONNECTED = "message.publish", "client.connected", "client.disconnected"
_NO_PROPERTIES: Mapping[str, Any] = {"User-Property": {}}

Fields = Mapping[str, Any]
Item = dict[str, dict[str, str]]


def item_of(fields: Fields) -> Item:
    """As the sink writes what a rule selects: numbers as numbers, maps as JSON, and the words `undefined`, `true` and
    `false` as strings. An empty value is left out."""
    return {name: _typed(value) for name, value in fields.items() if value != ""}


def _typed(value: Any) -> dict[str, str]:
    if value is None:
        return {"S": "undefined"}
    if isinstance(value, bool):
        return {"S": str(value).lower()}
    if isinstance(value, int | float):
        return {"N": str(value)}
    if isinstance(value, Mapping):
        return {"S": json.dumps(value, separators=(",", ":"))}
    return {"S": value}


@dataclass(frozen=True, slots=True)
class Client:
    """A device as the broker knows it."""

    clientid: str
    peername: str
    node: str
    username: str | None = None


def published(client: Client, at: int, guid: str, topic: str, payload: str, qos: int, retain: bool) -> Fields:
    """What `SELECT * FROM "t/#"` gives for a message. `at`: milliseconds since the epoch."""
    return {
        **_common(client, PUBLISHED, at, "90d98f59"),
        "id": guid,
        "topic": topic,
        "payload": payload,
        "qos": qos,
        "flags": {"retain": retain, "dup": False},
        "pub_props": _NO_PROPERTIES,
        "peerhost": client.peername.split(":")[0],
        "publish_received_at": at,
    }


def connected(client: Client, at: int) -> Fields:
    """What `SELECT str(event) + timestamp as id, * FROM "$events/client_connected"` gives. `id` names no client."""
    return {
        **_common(client, CONNECTED, at, "703890a5"),
        **_session(client),
        "id": f"{CONNECTED}{at}",
        "connected_at": at,
        "conn_props": {**_NO_PROPERTIES, "Request-Problem-Information": 1},
        "clean_start": True,
        "is_bridge": False,
        "keepalive": 30,
        "expiry_interval": 0,
        "receive_maximum": 32,
        "mountpoint": None,
    }


def disconnected(client: Client, at: int, reason: str) -> Fields:
    """The same for `$events/client_disconnected`."""
    return {
        **_common(client, DISCONNECTED, at, "703890a5"),
        **_session(client),
        "id": f"{DISCONNECTED}{at}",
        "disconnected_at": at,
        "disconn_props": _NO_PROPERTIES,
        "reason": reason,
    }


def _common(client: Client, event: str, at: int, rule: str) -> Fields:
    return {
        "event": event,
        "clientid": client.clientid,
        "username": client.username,
        "node": client.node,
        "timestamp": at,
        "metadata": {"rule_id": rule},
    }


def _session(client: Client) -> Fields:
    return {"peername": client.peername, "sockname": "127.0.0.1:1883", "proto_name": "MQTT", "proto_ver": 5}


class Sink:
    """Writes each event with a put without condition, as the broker does: what has the same id is replaced."""

    def __init__(self, client: Any, table: str = TABLE["TableName"]) -> None:
        self._client, self._table = client, table

    def write(self, fields: Fields) -> None:
        """One event."""
        self._client.put_item(TableName=self._table, Item=item_of(fields))
