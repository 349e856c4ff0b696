"""Which stream each generation of a sink belongs to, kept in the sink itself, so that a second stack is refused too."""

from collections.abc import Mapping
from typing import Any

from distributary.consumer.deadline import FOREVER
from distributary.consumer.streams import bound_with
from distributary.dynamodb.requests import ItemClient, batch_get, conditional_write
from distributary.errors import Unavailable
from distributary.stream.format import FORMAT_ATTRIBUTE, check_format, format_of
from distributary.stream.keys import escape, table_of
from distributary.stream.struct import Struct

FORMAT = 1
_ROW_FORMAT = "row_format"
_TRIES = 5


class StreamBindings(Struct, frozen=True):
    """A row per branch and source table in the tombstone table: `id` (`%streams|branch|table`), `bound` (M: stream ARNs
    by generation), `format` (N), `row_format` (N: that of the rows that the branch writes, which have no room for one).
    No view's and no mirror's tombstone has such an id; it never expires."""

    client: ItemClient
    table: str
    branch: str
    row_format: int = 0

    def bind(self, stream: str, generation: int) -> None:
        """See `streams.Bind`. 1 read unit, and 1 write unit the first time and after an upgrade of the rows' format.
        Raises ConfigError if a later release wrote this row, or the branch's rows."""
        key = {"id": {"S": f"%streams|{self.branch}|{escape(table_of(stream))}"}}
        for _ in range(_TRIES):
            found = batch_get(self.client, self.table, [key], FOREVER, "stream binding BatchGetItem")
            row = found[0] if found else None
            bound, rows = _read(row), _row_format(row)
            check_format(f"what {self.branch} wrote", rows, self.row_format)
            wanted = bound_with(bound, stream, generation)
            if wanted is None and rows == self.row_format:
                return
            kept = {"M": {str(each): {"S": arn} for each, arn in (wanted or bound).items()}}
            item = {**key, "bound": kept, FORMAT_ATTRIBUTE: {"N": str(FORMAT)}}
            item |= {_ROW_FORMAT: {"N": str(self.row_format)}}
            write, condition = self.client.put_item, _as_read(row)
            if conditional_write(write, "stream binding PutItem", TableName=self.table, Item=item, **condition).held:
                return
        raise Unavailable("stream binding: other functions keep writing it; it is tried again")


def _read(row: Mapping[str, Any] | None) -> dict[int, str]:
    if row is None:
        return {}
    check_format("the row of stream bindings", format_of(row), FORMAT)
    return {int(generation): arn["S"] for generation, arn in row["bound"]["M"].items()}


def _row_format(row: Mapping[str, Any] | None) -> int:
    return int((row or {}).get(_ROW_FORMAT, {"N": "0"})["N"])


def _as_read(row: Mapping[str, Any] | None) -> dict[str, Any]:
    """On condition that no other function has written the row since: neither its streams nor a later format."""
    if row is None:
        return {"ConditionExpression": "attribute_not_exists(id)"}
    rows = row.get(_ROW_FORMAT)
    return {
        "ConditionExpression": f"bound = :bound AND {'#r = :rows' if rows else 'attribute_not_exists(#r)'}",
        "ExpressionAttributeNames": {"#r": _ROW_FORMAT},
        "ExpressionAttributeValues": {":bound": row["bound"], **({":rows": rows} if rows else {})},
    }
