"""The requests that a change's deliveries issued: their conditions, and the services' answers."""

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

from cli.console.attached import Attached
from cli.console.history import Seen
from distributary.errors import Rejected
from distributary.stream import version as versions
from distributary.stream.change import Change
from distributary.stream.keys import identity

MARGIN = 0.05
"""Seconds: the clocks of two processes of one machine differ by less."""

_KEYS_OF = ("Key", "Item")


def requests(attached: Attached, seen: Seen, everything: bool) -> dict[str, Any]:
    """Those of the invocations that had the change, in order: such as mention its version, event or key, or
    `everything`, since a batch's changes share requests. Raises LocalError."""
    runs = attached.history.shown(seen)["invocations"]
    entry = attached.change(seen)
    words = [] if everything or not isinstance(entry, Change) else mentions(entry)
    found = []
    for function, spans in runs.items():
        around = [(begin - MARGIN, end + MARGIN) for begin, end in spans]
        found += attached.recorded.requests([function], around, words) if spans else []
    ordered = sorted(found, key=lambda each: each["began"])
    return {"requests": [{**each, "calls": list(calls(each)), "error": error_of(each)} for each in ordered]}


def mentions(change: Change) -> list[list[str]]:
    """What names a change in a request: one of these groups, all of it."""
    values = [str(value) for typed in change.keys.raw.values() for value in typed.values()]
    groups = [[versions.to_text(change.version)], [json.dumps(each, ensure_ascii=False)[1:-1] for each in values]]
    groups += [[change.event_id]] if change.event_id else []
    with suppress(Rejected):
        groups.append([json.dumps(identity(change.keys.raw), ensure_ascii=False)[1:-1]])
    return groups


def calls(exchange: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """What a request does: an action for each item that it writes or looks at on a condition, or reads, and for each
    document that it writes."""
    if exchange["operation"].endswith("/_bulk"):
        yield from _bulk(exchange["request"])
        return
    try:
        body = json.loads(exchange["request"])
    except ValueError:
        return
    if exchange["service"] != "dynamodb" or not isinstance(body, Mapping):
        return
    operation = exchange["operation"]
    if operation == "TransactWriteItems":
        for each in body.get("TransactItems", []):
            yield from (_call(action, given) for action, given in each.items())
    elif operation == "BatchGetItem":
        for table, asked in body.get("RequestItems", {}).items():
            yield from (_call("Get", {"TableName": table, "Key": key}) for key in asked.get("Keys", []))
    else:
        yield _call(operation.removesuffix("Item"), body)


def _call(action: str, given: Mapping[str, Any]) -> dict[str, Any]:
    named: Any = next((given[each] for each in _KEYS_OF if each in given), {})
    return {
        "action": action,
        "table": str(given.get("TableName", "")),
        "item": named,
        "condition": str(given.get("ConditionExpression", "")),
        "update": str(given.get("UpdateExpression", "") or given.get("KeyConditionExpression", "")),
        "names": given.get("ExpressionAttributeNames", {}),
        "values": given.get("ExpressionAttributeValues", {}),
    }


def _bulk(text: str) -> Iterator[dict[str, Any]]:
    """Of each document, the line that comes before it
    (https://docs.opensearch.org/latest/api-reference/document-apis/bulk/)."""
    for line in text.split("\n")[::2]:
        try:
            ((action, given),) = json.loads(line).items()
            version = given.get("version")
        except (ValueError, AttributeError):
            continue
        condition = f"its version is below {version}" if version is not None else ""
        item = {"id": {"S": str(given.get("_id", ""))}}
        named = {"names": {}, "values": {}, "update": ""}
        yield {"action": action, "table": given.get("_index", ""), "item": item, "condition": condition, **named}


def error_of(exchange: Mapping[str, Any]) -> str:
    """Why the service refused, in its own words; empty if it did not. Of a transaction, the reason of each action."""
    if exchange["status"] and exchange["status"] < 300:
        return ""
    if not exchange["status"]:
        return "there was no answer"
    try:
        body = json.loads(exchange["answer"])
        kind = str(body.get("__type", "")).rpartition("#")[2] or str(body.get("error", {}).get("type", ""))
        reasons = [str(each.get("Code", "")) for each in body.get("CancellationReasons", [])]
    except (ValueError, AttributeError):
        return f"status {exchange['status']}"
    return ": ".join(filter(None, [kind or f"status {exchange['status']}", ", ".join(reasons)]))
