"""The requests that every table is read and written by, and the part of a DynamoDB client that each of them uses."""

import random
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Protocol

from distributary.consumer.aws import AwsError, classify, code_of
from distributary.consumer.backoff import backoff_seconds
from distributary.consumer.deadline import Deadline
from distributary.dynamodb.steps import Call, Pause, Steps, finish
from distributary.errors import Unavailable
from distributary.stream.codec import Typed
from distributary.stream.struct import Struct

BATCH_GET_KEYS = 100
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""

Item = Mapping[str, Typed]
"""An item, or the key of one, in DynamoDB JSON as a boto3 client gives it (B as bytes)."""

Operation = Callable[..., Mapping[str, Any]]
"""One operation of a boto3 client."""


class BatchReader(Protocol):
    """Reads many items by key."""

    def batch_get_item(self, **arguments: Any) -> Mapping[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""


class ItemClient(BatchReader, Protocol):
    """Reads and writes items one by one, and reads many by key."""

    def get_item(self, **arguments: Any) -> Mapping[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GetItem.html"""

    def put_item(self, **arguments: Any) -> Mapping[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PutItem.html"""

    def delete_item(self, **arguments: Any) -> Mapping[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DeleteItem.html"""


class TableClient(BatchReader, Protocol):
    """Reads a whole table, one partition of it, and its schema."""

    def scan(self, **arguments: Any) -> Mapping[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html"""

    def query(self, **arguments: Any) -> Mapping[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html"""

    def describe_table(self, **arguments: Any) -> Mapping[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DescribeTable.html"""


class Met(Struct, frozen=True):
    """What a conditional write met. `held`: the condition held, so the item was written. Otherwise `item` is the item
    that refused it; empty if there is none, if it was not asked for, or if the endpoint does not return it."""

    held: bool
    item: Item


_HELD = Met(True, {})


def conditional_write(operation: Operation, what: str, **arguments: Any) -> Met:
    """Calls `put_item`, `delete_item` or `update_item` of a client; `what` names the call in errors.

    With `ReturnValuesOnConditionCheckFailure="ALL_OLD"` a refusal brings the item along and costs nothing more.
    Raises Rejected or Unavailable for every other error.
    """
    try:
        operation(**arguments)
    except AwsError as error:
        return _unmet(error, what)
    return _HELD


def conditional_steps(client: Any, operation: str, what: str, **arguments: Any) -> Steps[Met]:
    """`conditional_write` as steps; `operation` is the name of the client's method."""
    try:
        yield Call(client, operation, arguments)
    except AwsError as error:
        return _unmet(error, what)
    return _HELD


def _unmet(error: Exception, what: str) -> Met:
    if code_of(error) != "ConditionalCheckFailedException":
        raise classify(error, what) from error
    response: Mapping[str, Any] = getattr(error, "response", {})
    return Met(False, response.get("Item") or {})


def called(operation: Operation, what: str, **arguments: Any) -> Any:
    """The answer of a read. Raises Unavailable for every error: no item is to blame for a read that fails."""
    try:
        return operation(**arguments)
    except AwsError as error:
        raise _unreadable(error, what) from error


def called_steps(client: Any, operation: str, what: str, **arguments: Any) -> Steps[Any]:
    """`called` as steps; `operation` is the name of the client's method."""
    try:
        return (yield Call(client, operation, arguments))
    except AwsError as error:
        raise _unreadable(error, what) from error


def _unreadable(error: Exception, what: str) -> Unavailable:
    return Unavailable(str(classify(error, what)), str(error))


def batch_get(
    client: BatchReader,
    table: str,
    keys: Iterable[Item],
    deadline: Deadline,
    what: str = "BatchGetItem",
    consistent: bool = True,
    sleep: Callable[[float], None] = time.sleep,
    jitter: Callable[[float, float], float] = random.uniform,
) -> list[Item]:
    """The items of these keys that exist, in any order; no key may occur twice.

    100 keys a request. Keys that DynamoDB leaves unprocessed are asked for again, with the next 100, after a pause.
    Raises Unavailable, also when the deadline comes first.
    """
    return finish(batch_get_steps(client, table, keys, deadline, what, consistent, jitter), sleep=sleep)


def batch_get_steps(
    client: BatchReader,
    table: str,
    keys: Iterable[Item],
    deadline: Deadline,
    what: str = "BatchGetItem",
    consistent: bool = True,
    jitter: Callable[[float, float], float] = random.uniform,
) -> Steps[list[Item]]:
    """`batch_get` as steps."""
    left, found, tries = list(keys), [], 0
    while left:
        deadline.check()
        batch, left = left[:BATCH_GET_KEYS], left[BATCH_GET_KEYS:]
        asked = {table: {"Keys": batch, "ConsistentRead": consistent}}
        answer = yield from called_steps(client, "batch_get_item", what, RequestItems=asked)
        found += _of_the_table(answer["Responses"], [])
        unprocessed = _of_the_table(answer.get("UnprocessedKeys") or {}, {"Keys": []})["Keys"]
        if unprocessed:
            yield Pause(backoff_seconds(deadline, tries, jitter=jitter))
        tries = tries + 1 if unprocessed else 0
        left += unprocessed
    return found


def _of_the_table(by_table: Mapping[str, Any], default: Any) -> Any:
    """BatchGetItem answers by table, under the name or the ARN that was asked for: one table was."""
    return next(iter(by_table.values()), default)
