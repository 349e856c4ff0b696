"""One item's life: its changes, the item now, what is parked of it, and the messages about it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from cli.console import kept, parked
from cli.console.downstream import Downstream
from cli.console.history import Seen
from cli.console.mails import Mails
from distributary.consumer import parking
from distributary.consumer.deadline import FOREVER
from distributary.dynamodb.requests import batch_get
from distributary.feed.snapshot import Table
from distributary.readers.parked import Bucket
from distributary.stream.change import Change
from distributary.stream.codec import Typed
from distributary.stream.keys import identity, item_digest, table_arn, table_of
from distributary.welcome.branch import claim_ids, occasion
from local import outbox

Keys = Mapping[str, Typed]
CHANGES = 200
"""Of an item, the newest ones that are shown."""


def life(attached: Downstream, mails: Mails, table: Table, keys: Keys) -> dict[str, Any]:
    """Plain values; the item in DynamoDB JSON. Raises Unavailable and DeclarationFaults."""
    text = json.dumps(keys, sort_keys=True, ensure_ascii=False)

    def is_of_item(seen: Seen) -> bool:
        return seen.key == text and table_of(seen.source) == table.name

    changes, more = attached.history.page(None, CHANGES, is_of_item)
    return {
        "table": table.name,
        "keys": keys,
        "item": kept.item_of(attached, table, keys),
        "changes": changes,
        "more": bool(more),
        "parked": [parked.shown(each) for each in _parked(attached, table, keys)],
        "messages": list(_messages(attached, mails, table, keys, changes)) if "welcome" in attached.functions else [],
    }


def _parked(attached: Downstream, table: Table, keys: Keys) -> Iterator[Any]:
    """By the names of the objects, which have the item's digest."""
    deployed = attached.deployed
    bucket = Bucket(deployed.clients("s3"), deployed.output("ParkingBucketName"), deployed.functions)
    for branch in attached.functions:
        for place in bucket.places(f"{parking.PREFIX}/{branch}/{item_digest(table.name, keys)}/"):
            yield from bucket.changes(place, [branch])


def _messages(
    attached: Downstream, mails: Mails, table: Table, keys: Keys, changes: list[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """By the claims that the rules make for the item and its remembered changes."""
    ids: dict[str, str] = {}
    for change in _asked(attached, table, keys, changes):
        for rule in attached.declared("welcome"):
            if rule.of.reads(change.source):
                own, others = claim_ids(rule, change, occasion(change))
                ids |= dict.fromkeys((*own, *others), rule.name)
    claims = attached.environment("welcome")["CLAIM_TABLE"]
    wanted = [{"id": {"S": id}} for id in ids]
    for row in batch_get(attached.clients("dynamodb"), claims, wanted, FOREVER, "claim BatchGetItem"):
        message = row.get("message_id", {}).get("S", "")
        mail = outbox.find(attached.outbox, message) if message else None
        yield {
            "rule": ids[row["id"]["S"]],
            "state": row.get("state", {}).get("S", ""),
            "sends": row.get("sends", {}).get("N", ""),
            "mail": mails.shown(mail) if mail is not None else None,
        }


def _asked(attached: Downstream, table: Table, keys: Keys, changes: list[dict[str, Any]]) -> Iterator[Change]:
    """The item itself, and its changes."""
    yield Change.snapshot(keys, None, 0, source=table_arn(table.name))
    for each in changes:
        seen = attached.history.find(each["event"])
        entry = attached.change(seen) if seen is not None else None
        if isinstance(entry, Change):
            yield entry


def key_of(attached: Downstream, asked: Mapping[str, Any]) -> tuple[Table, Keys]:
    """The table and the whole key that a request names. Raises LookupError, ValueError and Rejected."""
    table = attached.table(str(asked.get("table", "")))
    given = asked.get("key", "")
    keys = json.loads(given) if isinstance(given, str) else given
    if not isinstance(keys, dict) or set(keys) != set(table.keys):
        raise ValueError(f"give the whole key of {table.name}: {', '.join(table.keys)}, as DynamoDB JSON")
    identity(keys)
    return table, keys
