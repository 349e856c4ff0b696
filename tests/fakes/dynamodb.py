"""A DynamoDB client that keeps its tables in memory and the service's rules."""

import math
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from threading import RLock
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from tests.fakes.answers import refusal
from tests.fakes.expressions import Expressions, Malformed
from tests.fakes.items import Schema, accepted, copied, item_bytes, key_of

THROTTLED = refusal("AnyItem", "ProvisionedThroughputExceededException", "slow down")
BROKEN = refusal("AnyItem", "InternalServerError", "oops", 500)
UNANSWERED = ReadTimeoutError(endpoint_url="https://dynamodb")
BATCH_KEYS = 100
TRANSACTION_ACTIONS = 100
TRANSACTION_BYTES = 4 * 1024 * 1024

Arguments = Mapping[str, Any]


class DynamoDB:
    """`state` is all that it knows; `calls`, `write_units` and `read_units` count exactly what each call costs.
    `page_items`: of a scan."""

    def __init__(self, schemas: Mapping[str, Schema]) -> None:
        self._schemas = dict(schemas)
        self._lock = RLock()
        self.page_items = 1000
        self.state: dict[str, dict[tuple, dict[str, Any]]] = {name: {} for name in schemas}
        self.calls: Counter[str] = Counter()
        self.write_units = 0
        self.read_units = 0.0

    def put_item(self, **arguments: Any) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PutItem.html"""

        def new(_: Mapping[str, Any], __: Expressions, schema: Schema) -> dict[str, Any]:
            return accepted(arguments["Item"], schema)

        return self._write("PutItem", arguments, lambda schema: _keys(arguments["Item"], schema), new)

    def delete_item(self, **arguments: Any) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DeleteItem.html"""
        return self._write("DeleteItem", arguments, lambda _: arguments["Key"], lambda *_: None)

    def update_item(self, **arguments: Any) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html"""

        def new(old: Mapping[str, Any], expressions: Expressions, schema: Schema) -> dict[str, Any]:
            return accepted(expressions.set(arguments["UpdateExpression"], {**arguments["Key"], **old}), schema)

        return self._write("UpdateItem", arguments, lambda _: arguments["Key"], new)

    def get_item(
        self, *, TableName: str, Key: Arguments, ConsistentRead: bool = False, ReturnConsumedCapacity: str = "NONE"
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GetItem.html"""
        with self._lock, _validated("GetItem"):
            self.calls["GetItem"] += 1
            table, schema = self._table("GetItem", TableName)
            item = table.get(key_of(Key, schema))
            units = _read_units(item or {}, ConsistentRead)
            self.read_units += units
            consumed = {"ConsumedCapacity": {"TableName": TableName, "CapacityUnits": float(units)}}
            told = consumed if ReturnConsumedCapacity != "NONE" else {}
            return {**({"Item": copied(item)} if item else {}), **told}

    def batch_get_item(
        self, *, RequestItems: Mapping[str, Any], ReturnConsumedCapacity: str = "NONE"
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""
        with self._lock, _validated("BatchGetItem"):
            self.calls["BatchGetItem"] += 1
            if not 0 < sum(len(request["Keys"]) for request in RequestItems.values()) <= BATCH_KEYS:
                raise Malformed("Member must have length less than or equal to 100")
            found, consumed = {}, []
            for name, request in RequestItems.items():
                before = self.read_units
                found[name] = self._batch_of(name, request)
                consumed.append({"TableName": name, "CapacityUnits": float(self.read_units - before)})
            more = {"ConsumedCapacity": consumed} if ReturnConsumedCapacity != "NONE" else {}
            return {"Responses": found, "UnprocessedKeys": {}, **more}

    def query(
        self,
        *,
        TableName: str,
        KeyConditionExpression: str,
        ExpressionAttributeValues: Arguments,
        ExpressionAttributeNames: Arguments | None = None,
        ProjectionExpression: str = "",
        ExclusiveStartKey: Arguments | None = None,
        ScanIndexForward: bool = True,
        Limit: int | None = None,
        ConsistentRead: bool = False,
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html, for one partition, or what
        begins alike in it. A page ends after `page_items`, not after 1 MB. One that reached its limit has a
        LastEvaluatedKey, also if nothing follows."""
        with self._lock, _validated("Query"):
            self.calls["Query"] += 1
            table, schema = self._table("Query", TableName)
            hash, *range = schema
            expressions = Expressions(ExpressionAttributeNames or {}, ExpressionAttributeValues)
            names = list(ExpressionAttributeValues)
            form = f"{hash} = {names[0]}" + (f" AND begins_with({range[0]}, {names[1]})" if len(names) > 1 else "")
            if KeyConditionExpression != form:
                raise Malformed("Query key condition not supported")
            wanted, prefix = [*(expressions.value(name)["S"] for name in names), ""][:2]
            own = [key for key in table if key[0] == wanted and key[1].startswith(prefix)]
            places = sorted(own, key=lambda key: key[1].encode(), reverse=not ScanIndexForward)
            if ExclusiveStartKey:
                start = ExclusiveStartKey[range[0]]["S"].encode()
                places = [
                    key for key in places if (key[1].encode() > start if ScanIndexForward else key[1].encode() < start)
                ]
            page = [table[key] for key in places[: Limit or self.page_items]]
            if page:
                size = sum(map(item_bytes, page))
                self.read_units += max(1, math.ceil(size / 4096)) * (1.0 if ConsistentRead else 0.5)
            reached = len(places) > len(page) or len(page) == Limit
            more = {"LastEvaluatedKey": _keys(page[-1], schema)} if reached else {}
            if ProjectionExpression:
                page = [expressions.projected(ProjectionExpression, item) for item in page]
            return {"Items": copied(page), **more}

    def transact_write_items(self, *, TransactItems: list[Arguments]) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html, Put, Update
        and Delete: all or nothing, twice the write units, cancelled with one reason an action."""
        with self._lock, _validated("TransactWriteItems"):
            self.calls["TransactWriteItems"] += 1
            if not 0 < len(TransactItems) <= TRANSACTION_ACTIONS:
                raise Malformed("Member must have length less than or equal to 100")
            planned = [self._action(*next(iter(each.items()))) for each in TransactItems]
            places = [(name, place) for name, place, _, _ in planned]
            if len(set(places)) < len(places):
                raise Malformed("Transaction request cannot include multiple operations on one item")
            if sum(item_bytes(new or {}) for _, _, new, _ in planned) > TRANSACTION_BYTES:
                raise Malformed("Member must have length less than or equal to 4194304 bytes")
            for name, place, new, _ in planned:
                old = self.state[name].get(place, {})
                self.write_units += 2 * max(1, math.ceil(max(item_bytes(old), item_bytes(new or {})) / 1024))
            if any(reason["Code"] != "None" for *_, reason in planned):
                codes = ", ".join(reason["Code"] for *_, reason in planned)
                message = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
                reasons = [reason for *_, reason in planned]
                raise refusal(
                    "TransactWriteItems", "TransactionCanceledException", message, CancellationReasons=reasons
                )
            for name, place, new, _ in planned:
                if new is None:
                    self.state[name].pop(place, None)
                else:
                    self.state[name][place] = new
            return {}

    def _action(self, verb: str, arguments: Arguments) -> tuple[str, tuple, dict[str, Any] | None, dict[str, Any]]:
        table, schema = self._table("TransactWriteItems", arguments["TableName"])
        new = accepted(arguments["Item"], schema) if verb == "Put" else None
        place = key_of(_keys(new, schema) if new is not None else arguments["Key"], schema)
        old, reason = table.get(place, {}), {"Code": "None"}
        expressions = Expressions.of(arguments)
        if verb == "Update":
            new = accepted(expressions.set(arguments["UpdateExpression"], {**arguments["Key"], **old}), schema)
        if _conditional(arguments) and not expressions.holds(arguments["ConditionExpression"], old):
            returned = arguments.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and old
            reason = {"Code": "ConditionalCheckFailed", "Message": "The conditional request failed"}
            reason |= {"Item": copied(old)} if returned else {}
        expressions.finish()
        return arguments["TableName"], place, new, reason

    def scan(
        self,
        *,
        TableName: str,
        Segment: int = 0,
        TotalSegments: int = 1,
        Limit: int | None = None,
        ExclusiveStartKey: Arguments | None = None,
        ConsistentRead: bool = False,
        ReturnConsumedCapacity: str = "NONE",
    ) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html, in the order of a hash. A page
        ends after `page_items`, not after 1 MB."""
        with self._lock, _validated("Scan"):
            self.calls["Scan"] += 1
            table, schema = self._table("Scan", TableName)
            after = _place(key_of(ExclusiveStartKey, schema)) if ExclusiveStartKey else (-1, "")
            own = {_place(key): key for key in table if _place(key)[0] % TotalSegments == Segment}
            left = [own[place] for place in sorted(own) if place > after]
            page = [table[key] for key in left[: Limit or self.page_items]]
            consumed = sum(_read_units(item, ConsistentRead) for item in page)
            self.read_units += consumed
            more = {"LastEvaluatedKey": _keys(page[-1], schema)} if len(left) > len(page) else {}
            if ReturnConsumedCapacity != "NONE":
                more["ConsumedCapacity"] = {"TableName": TableName, "CapacityUnits": float(consumed)}
            return {"Items": copied(page), **more}

    def describe_table(self, *, TableName: str) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DescribeTable.html"""
        self.calls["DescribeTable"] += 1
        table, schema = self._table("DescribeTable", TableName)
        return {
            "Table": {
                "KeySchema": [
                    {"AttributeName": name, "KeyType": kind}
                    for name, kind in zip(schema, ("HASH", "RANGE"), strict=False)
                ],
                "AttributeDefinitions": [
                    {"AttributeName": name, "AttributeType": type} for name, type in schema.items()
                ],
                "ItemCount": len(table),
            }
        }

    def _batch_of(self, name: str, request: Arguments) -> list[dict[str, Any]]:
        table, schema = self._table("BatchGetItem", name)
        keys = [key_of(key, schema) for key in request["Keys"]]
        if len(set(keys)) < len(keys):
            raise Malformed("Provided list of item keys contains duplicates")
        self.read_units += sum(_read_units(table.get(key, {}), request.get("ConsistentRead", False)) for key in keys)
        expressions = Expressions.of(request)
        projection = request.get("ProjectionExpression")
        found = [
            expressions.projected(projection, table[key]) if projection else table[key] for key in keys if key in table
        ]
        return copied(found)

    def _write(
        self, operation: str, arguments: Arguments, key: Callable[[Schema], Arguments], new: Callable[..., Any]
    ) -> dict[str, Any]:
        with self._lock, _validated(operation):
            self.calls[operation] += 1
            table, schema = self._table(operation, arguments["TableName"])
            place = key_of(key(schema), schema)
            old = table.get(place, {})
            expressions = Expressions.of(arguments)
            meets = expressions.holds(arguments["ConditionExpression"], old) if _conditional(arguments) else True
            written = new(old, expressions, schema)
            expressions.finish()
            self.write_units += max(1, math.ceil(max(item_bytes(old), item_bytes(written or {})) / 1024))
            if not meets:
                raise _unmet(operation, arguments, old)
            if written is None:
                table.pop(place, None)
            else:
                table[place] = written
            return {}

    def _table(self, operation: str, name: str) -> tuple[dict[tuple, dict[str, Any]], Schema]:
        if name not in self._schemas:
            raise refusal(operation, "ResourceNotFoundException", "Requested resource not found")
        return self.state[name], self._schemas[name]


@contextmanager
def _validated(operation: str) -> Iterator[None]:
    """Turns Malformed into the service's ValidationException."""
    try:
        yield
    except Malformed as error:
        raise refusal(operation, "ValidationException", str(error)) from None


def _place(key: tuple) -> tuple[int, str]:
    return zlib.crc32(repr(key).encode()), repr(key)


def _conditional(arguments: Arguments) -> bool:
    return "ConditionExpression" in arguments


def _unmet(operation: str, arguments: Arguments, old: Mapping[str, Any]) -> ClientError:
    returned = arguments.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD" and old
    more = {"Item": copied(old)} if returned else {}
    return refusal(operation, "ConditionalCheckFailedException", "The conditional request failed", **more)


def _keys(item: Arguments, schema: Schema) -> dict[str, Any]:
    missing = [name for name in schema if name not in item]
    if missing:
        raise Malformed(f"One or more parameter values were invalid: Missing the key {missing[0]} in the item")
    return {name: item[name] for name in schema}


def _read_units(item: Mapping[str, Any], consistent: bool) -> float:
    return max(1, math.ceil(item_bytes(item) / 4096)) * (1.0 if consistent else 0.5)
