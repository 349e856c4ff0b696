"""An application's own rows in a region, looked at beside what is kept of them, and replaced only as they were seen."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distributary.consumer.aws import AwsError, classify
from distributary.dynamodb.requests import ItemClient, Operation, conditional_write
from distributary.errors import Unavailable
from distributary.stream.codec import Typed

COMPARED_ATTRIBUTES = 100
"""Of a row, in the condition that it is as it was seen; an expression may hold 300 operators
(https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html)."""

Row = Mapping[str, Typed]


@dataclass(frozen=True, slots=True)
class Rows:
    """Table `table` of `region`, whose replicator keeps its own attribute in `attribute`. Rows are DynamoDB JSON as
    boto3 takes it."""

    client: ItemClient
    region: str
    table: str
    attribute: str

    def look(self, key: Row, beside: str, other: Row) -> tuple[Row | None, Row | None]:
        """The row, and the item `other` of the table `beside`, in one request; together they are no snapshot. 1 read
        unit per 4 KB of each. Raises Unavailable."""
        wanted: Any = {
            self.table: {"Keys": [key], "ConsistentRead": True},
            beside: {"Keys": [other], "ConsistentRead": True},
        }
        try:
            answer = self.client.batch_get_item(RequestItems=wanted)
        except AwsError as error:
            raise Unavailable(f"{self.region}: {classify(error, 'BatchGetItem')}", str(error)) from error
        found, left = answer["Responses"], answer.get("UnprocessedKeys", {})
        row, kept = (
            self.read(table, asked) if table in left else next(iter(found.get(table, [])), None)
            for table, asked in ((self.table, key), (beside, other))
        )
        return row, kept

    def read(self, table: str, key: Row) -> Row | None:
        """An item of this or another table; 1 read unit per 4 KB. Raises Unavailable."""
        try:
            found: Row | None = self.client.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
        except AwsError as error:
            raise Unavailable(f"{self.region}: {classify(error, 'GetItem')}", str(error)) from error
        return found

    def put(self, key: Row, item: Row, seen: Row | None) -> bool:
        """Whether the row was written; not if something else stands there now. Raises Rejected or Unavailable."""
        return self.conditionally(self.client.put_item, self.table, as_seen(key, seen, self.attribute), Item=item)

    def delete(self, key: Row, seen: Row) -> bool:
        """Whether it was deleted; see `put`."""
        return self.conditionally(self.client.delete_item, self.table, as_seen(key, seen, self.attribute), Key=key)

    def conditionally(self, operation: Operation, table: str, condition: Mapping[str, Any], **arguments: Any) -> bool:
        """Whether the condition held. Raises Rejected or Unavailable."""
        return conditional_write(operation, f"{self.region}: write", TableName=table, **condition, **arguments).held


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
