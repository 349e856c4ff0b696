"""What should be downstream, by plain Python over the table's items and what was written, without declarations."""

import json
from collections import Counter
from typing import Any

from distributary.readers.archive import ArchivedChange
from examples.mqtt_devices.workload import BEGIN, Journal
from local.downstream import Downstream, Rows
from local.examples import Tables

Record = dict[str, Any]


def expected(tables: Tables, journal: Journal) -> Downstream:
    """See `Example`. Rows and documents follow from the items that exist. The archive has each event, also one whose
    item was replaced."""
    records = [{name: _plain(typed) for name, typed in item.items()} for item in tables["mqtt_msg"]]
    messages = [each for each in records if each["event"] == "message.publish"]
    rows = {**_presence(records), **_counted(records, "client.connected", 10, "DAY", "connections")}
    rows |= _counted(records, "message.publish", 13, "HOUR", "messages")
    return Downstream(rows, _documents(messages), changes=_events(journal))


def counted_event(change: ArchivedChange) -> str:
    """By device, kind of event and hour: one of the events that the archive holds."""
    new = change.new or {}
    return _event(new["clientid"]["S"], new["event"]["S"], int(new["timestamp"]["N"]))


def _event(device: str, event: str, at: int) -> str:
    return f"{event} {device} {_time(at)[:13]}"


def _events(journal: Journal) -> Rows:
    names = Counter(_event(each["clientid"], each["event"], each["timestamp"]) for each in journal.written)
    return {name: {"times": many} for name, many in names.items()}


def _plain(typed: dict[str, str]) -> str | int:
    return int(typed["N"]) if "N" in typed else typed["S"]


def _time(at: int) -> str:
    """As text, in UTC."""
    return BEGIN.fromtimestamp(at / 1000, BEGIN.tzinfo).isoformat()


def _presence(records: list[Record]) -> Rows:
    """By the event's own time; of two in one millisecond, the greater id says it."""
    rows: Rows = {}
    for each in sorted(records, key=lambda record: (record["timestamp"], record["id"])):
        if each["event"] != "message.publish":
            shown = {name: each[name] for name in ("timestamp", "node", "reason") if name in each}
            state = "online" if each["event"] == "client.connected" else "offline"
            rows[f"DEVICE#{each['clientid']} / PRESENCE"] = {**shown, "state": state}
    return rows


def _counted(records: list[Record], event: str, digits: int, period: str, into: str) -> Rows:
    found = Counter((each["clientid"], _time(each["timestamp"])[:digits]) for each in records if each["event"] == event)
    return {f"DEVICE#{device} / {period}#{begin}": {into: many} for (device, begin), many in found.items()}


def _documents(messages: list[Record]) -> Rows:
    found: Rows = {}
    for each in messages:
        found[f"device-messages / {each['id']}"] = {
            "id": each["id"],
            "device": each["clientid"],
            "topic": each["topic"],
            "qos": each["qos"],
            "retained": "true" in each["flags"],
            "at": each["timestamp"],
            "text": each["payload"],
            "payload": _object(each["payload"]),
            **({"username": each["username"]} if each["username"] != "undefined" else {}),
        }
    return found


def _object(text: str) -> Any:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
