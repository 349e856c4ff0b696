"""The calls by which a Join reads and writes its rows, as steps; busy rows are tried again."""

from collections.abc import Mapping, Sequence
from typing import Any

from distributary.consumer import outcome as outcomes
from distributary.consumer.aws import AwsError, classify, code_of
from distributary.consumer.backoff import backoff_seconds
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Outcome
from distributary.derive.delta import Row, typed_key
from distributary.derive.format import check_ledger_row
from distributary.derive.join_rows import FOREIGN_KEY, RIGHT_ROW, SINCE, Action, RightRow, partition
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.transaction_queue import TRIES
from distributary.derive.transactions import CANCELLED, UNMET, is_busy, is_busy_reason
from distributary.dynamodb.requests import Met, batch_get_steps
from distributary.dynamodb.steps import Call, Pause, Steps
from distributary.errors import DistributaryError, Rejected, Unavailable
from distributary.stream.struct import Struct

_OPERATIONS = {"Put": "put_item", "Update": "update_item", "Delete": "delete_item"}
_BUSY = Unavailable("join: rows were busy at every try")


class Refused(Struct, frozen=True):
    """Which action of a transaction refused it, by its place, and the row that it met if that came along."""

    place: int
    row: Row


class JoinCalls(Struct, frozen=True):
    """Of one batch."""

    tables: LedgerTables
    deadline: Deadline

    def ledger_rows(self, ids: Sequence[str]) -> Steps[dict[str, Row]]:
        """Ledger rows by id, those that exist. Raises Unavailable, ConfigError for a row of a later release."""
        rows = yield from self._get(self.tables.ledger, [{"id": {"S": id}} for id in ids])
        return {row["id"]["S"]: check_ledger_row(row) for row in rows}

    def right_rows(self, view: str, foreign_keys: Sequence[str]) -> Steps[dict[str, RightRow]]:
        """Right items by foreign key, those that are known. Raises as `ledger_rows`."""
        places = {partition(view, each): each for each in foreign_keys}
        rows = yield from self._get(self.tables.derived, [typed_key((pk, RIGHT_ROW)) for pk in places])
        found = {places[row["pk"]["S"]]: RightRow.read(row) for row in rows}
        return {name: each for name, each in found.items() if each is not None}

    def write(self, action: Action, *, returns: bool = False) -> Steps[Met]:
        """One action alone. `returns`: a refusal brings the row along. Raises Rejected, Unavailable."""
        ((verb, arguments),) = action.items()
        arguments = {**arguments, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if returns else arguments
        for tries in range(TRIES):
            try:
                yield Call(self.tables.client, _OPERATIONS[verb], arguments)
                return Met(True, {})
            except AwsError as error:
                if code_of(error) == "ConditionalCheckFailedException":
                    return Met(False, (getattr(error, "response", None) or {}).get("Item") or {})
                if not is_busy(error):
                    raise classify(error, f"join {_OPERATIONS[verb]}") from error
            yield self.pause(tries)
        raise _BUSY

    def transact(self, actions: Sequence[Action]) -> Steps[Refused | None]:
        """All of the actions, or none: then the first that refused. One action alone is written without a transaction.
        Raises Rejected, Unavailable."""
        if len(actions) == 1:
            met = yield from self.write(actions[0])
            return None if met.held else Refused(0, met.item)
        for tries in range(TRIES):
            try:
                yield Call(self.tables.client, "transact_write_items", {"TransactItems": list(actions)})
                return None
            except AwsError as error:
                refused = _refused(error, len(actions))
                if refused is not None:
                    return refused
            yield self.pause(tries)
        raise _BUSY

    def page(self, pk: str, prefix: str, start: str, limit: int) -> Steps[tuple[list[Row], str]]:
        """At most `limit` rows of a partition behind `start`, consistent, and where the next page starts; empty if
        none follows. One row more is read: DynamoDB names a next page where a limit was reached, though it be empty."""
        request: dict[str, Any] = {
            "TableName": self.tables.derived,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": pk}},
            "ConsistentRead": True,
            "Limit": limit + 1,
        }
        if prefix:
            request["KeyConditionExpression"] += " AND begins_with(sk, :sk)"
            request["ExpressionAttributeValues"][":sk"] = {"S": prefix}
        if start:
            request["ExclusiveStartKey"] = typed_key((pk, start))
        try:
            answer = yield Call(self.tables.client, "query", request)
        except AwsError as error:
            raise Unavailable(str(classify(error, "join Query")), str(error)) from error
        rows, last = answer["Items"], answer.get("LastEvaluatedKey") or {}
        if len(rows) > limit:
            rows, last = rows[:limit], rows[limit - 1]
        return rows, last["sk"]["S"] if last else ""

    def pause(self, tries: int) -> Pause:
        """Before another try."""
        return Pause(backoff_seconds(self.deadline, tries, jitter=self.tables.jitter))

    def _get(self, table: str, keys: Sequence[Row]) -> Steps[list[Row]]:
        if not keys:
            return []
        found = yield from batch_get_steps(
            self.tables.client, table, keys, self.deadline, "join BatchGetItem", jitter=self.tables.jitter
        )
        return found


def _refused(error: Exception, many: int) -> Refused | None:
    """Which condition of a transaction was not met; None if it may be tried again. Raises Rejected, Unavailable."""
    reasons: Sequence[Mapping[str, Any]] = (getattr(error, "response", None) or {}).get("CancellationReasons", [])
    if code_of(error) == CANCELLED and len(reasons) == many:
        codes = [str(reason.get("Code", "None")) for reason in reasons]
        if UNMET in codes:
            place = codes.index(UNMET)
            return Refused(place, reasons[place].get("Item") or {})
        if wrong := [code for code in codes if code != "None" and not is_busy_reason(code)]:
            raise Rejected(f"join TransactWriteItems: {wrong[0]}", str(error))
        return None
    if is_busy(error):
        return None
    raise classify(error, "join TransactWriteItems") from error


def end_of(error: Outcome | DistributaryError) -> Outcome:
    """Of what steps returned or raised. What is not the change's own fault may succeed later."""
    if isinstance(error, Outcome):
        return error
    return outcomes.parked(error) if isinstance(error, Rejected) else outcomes.failed(error)


def shows(row: Row, foreign_key: str, since: str) -> bool:
    """Whether a row needs no fan-out: it is another right item's, or has this one as of `since` or newer."""
    return row.get(FOREIGN_KEY, {}).get("S") != foreign_key or row.get(SINCE, {"S": ""})["S"] >= since
