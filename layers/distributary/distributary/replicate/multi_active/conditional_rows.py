"""One region's table of items, and the table of what is kept of each: both are written only as they were seen."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from distributary.dynamodb.requests import ItemClient, called_steps, conditional_steps
from distributary.dynamodb.steps import Steps
from distributary.errors import DistributaryError, Rejected, Unavailable
from distributary.stream.codec import Typed
from distributary.stream.format import FORMAT_ATTRIBUTE, check_format, format_of

COMPARED_ATTRIBUTES = 100
"""Of a row, in the condition that it is as it was seen; an expression may hold 300 operators
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html)."""

FORMAT = 1
"""Of what is kept. Release 0.1 wrote none: tombstones were the same then, `merge_table` reads the merge states."""

TRIES = 12
"""Of a conditional write that other writers keep overtaking."""

Row = Mapping[str, Typed]
_Site = TypeVar("_Site")


@dataclass(frozen=True, slots=True)
class Rows:
    """Table `table` of `region`, whose replicator keeps its own attribute in `attribute`. What is kept is in the table
    `beside` it, with `id` (S), `format` (N) and, of an item that is deleted, `expires_at` (N, epoch seconds, the TTL
    attribute) after `days`. Rows are DynamoDB JSON as boto3 takes it. A read is consistent: 1 read unit per 4 KB."""

    client: ItemClient
    region: str
    table: str
    beside: str
    attribute: str
    days: int
    now: Callable[[], float] = time.time

    def look(self, key: Row, id: str) -> Steps[tuple[Row | None, Row | None]]:
        """The row and what is kept of it, in one request; together they are no snapshot. Raises Unavailable."""
        asked = {self.table: key, self.beside: {"id": {"S": id}}}
        wanted: Any = {table: {"Keys": [each], "ConsistentRead": True} for table, each in asked.items()}
        what = f"{self.region}: BatchGetItem"
        answer = yield from called_steps(self.client, "batch_get_item", what, RequestItems=wanted)
        found, left = answer["Responses"], answer.get("UnprocessedKeys", {})
        row, kept = (next(iter(found.get(table, [])), None) for table in asked)
        if self.table in left:
            row = yield from self._read(self.table, key)
        if self.beside in left:
            kept = yield from self._read(self.beside, asked[self.beside])
        return row, self._checked(kept)

    def row(self, key: Row) -> Steps[Row | None]:
        """The row. Raises Unavailable."""
        return self._read(self.table, key)

    def kept(self, id: str) -> Steps[Row | None]:
        """What is kept. Raises Unavailable, and ConfigError if a later release wrote it."""
        return self._checked((yield from self._read(self.beside, {"id": {"S": id}})))

    def put(self, key: Row, item: Row, seen: Row | None) -> Steps[bool]:
        """Whether the row was written; not if something else is there than was `seen`. Raises Rejected, Unavailable."""
        return self._conditionally("put_item", self.table, as_seen(key, seen, self.attribute), Item=item)

    def delete(self, key: Row, seen: Row) -> Steps[bool]:
        """Whether it was deleted; see `put`."""
        return self._conditionally("delete_item", self.table, as_seen(key, seen, self.attribute), Key=key)

    def keep(self, id: str, content: Mapping[str, Any], seen: Row, deleted: bool) -> Steps[bool]:
        """Whether `content` is kept now; not if its attributes in `seen`, all if there are none, are others by now.
        What is kept of a `deleted` item expires. Raises Rejected or Unavailable."""
        item = {"id": {"S": id}, **content, FORMAT_ATTRIBUTE: {"N": str(FORMAT)}}
        if deleted:
            item["expires_at"] = {"N": str(int(self.now()) + self.days * 86_400)}
        condition = equal(seen) if seen else absent("id")
        return self._conditionally("put_item", self.beside, condition, Item=item)

    def contended(self) -> Unavailable:
        """To be raised when other writers were faster at each try."""
        return Unavailable(f"{self.region}: the item is written to faster than it can be merged")

    def _read(self, table: str, key: Row) -> Steps[Row | None]:
        asked = {"TableName": table, "Key": key, "ConsistentRead": True}
        answer = yield from called_steps(self.client, "get_item", f"{self.region}: GetItem", **asked)
        found: Row | None = answer.get("Item")
        return found

    def _checked(self, kept: Row | None) -> Row | None:
        if kept is not None:
            check_format(f"{self.region}: an item in table {self.beside}", format_of(kept), FORMAT)
        return kept

    def _conditionally(self, operation: str, table: str, condition: Mapping[str, Any], **arguments: Any) -> Steps[bool]:
        what = f"{self.region}: write"
        met = yield from conditional_steps(self.client, operation, what, TableName=table, **condition, **arguments)
        return met.held


def all_of(sites: Iterable[_Site], write: Callable[[_Site], Steps[bool]]) -> Steps[bool]:
    """Whether anything was written to any of these regions. Raises what kept it from one, once all were tried."""
    wrote, errors = False, []
    for site in sites:
        try:
            wrote |= yield from write(site)
        except DistributaryError as error:
            errors.append(error)
    if errors:
        raise min(errors, key=lambda error: isinstance(error, Rejected))
    return wrote


def as_seen(key: Row, row: Row | None, attribute: str) -> dict[str, Any]:
    """The condition that a row is as it was seen, `attribute` first. An attribute that the application added meanwhile
    escapes it: then the stream tells of the edit that was overwritten, and its own region's function brings it back."""
    if row is None:
        return absent(next(iter(key)))
    names = sorted(row, key=lambda name: (name != attribute, name))[:COMPARED_ATTRIBUTES]
    seen = equal({name: row[name] for name in names})
    if attribute not in row:
        seen["ConditionExpression"] += " AND attribute_not_exists(#stamp)"
        seen["ExpressionAttributeNames"]["#stamp"] = attribute
    return seen


def absent(name: str) -> dict[str, Any]:
    """The condition that there is no such item, by its key attribute."""
    return {"ConditionExpression": "attribute_not_exists(#k)", "ExpressionAttributeNames": {"#k": name}}


def equal(attributes: Row) -> dict[str, Any]:
    """The condition that an item's attributes are these."""
    numbered = list(enumerate(attributes.items()))
    return {
        "ConditionExpression": " AND ".join(f"#a{n} = :a{n}" for n, _ in numbered),
        "ExpressionAttributeNames": {f"#a{n}": name for n, (name, _) in numbered},
        "ExpressionAttributeValues": {f":a{n}": typed for n, (_, typed) in numbered},
    }
