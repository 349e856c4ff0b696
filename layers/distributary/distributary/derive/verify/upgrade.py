"""Tables of release 0.1 brought to this release's format, before they are verified.

0.1's ledger ids do not name the source table. Each row goes to its new id in one transaction, with what it says: so
nothing is counted twice, whenever the upgrade breaks off or is run again. Rows that 0.1 wrote under other keys (it
escaped more) are moved by the verification that follows, as differences.
"""

from collections.abc import Sequence
from threading import Event
from typing import Any

from distributary.consumer.aws import AwsError, classify, code_of
from distributary.derive.contribution import entry_id
from distributary.derive.delta import Row
from distributary.derive.format import FORMAT, WRITTEN, named
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.table_format import TableFormat
from distributary.derive.transactions import ACTIONS, CANCELLED
from distributary.derive.verify.scan import Scan
from distributary.errors import ConfigError, Unavailable
from distributary.stream.format import format_of
from distributary.stream.keys import escape

_PASSES = 3


def prepare(known: TableFormat, scan: Scan, table: str, repair: bool) -> None:
    """Before items of the source table are compared. Writes only for a `repair`. Raises ConfigError for tables of a
    later release, and for 0.1's if nothing is to be repaired."""
    if known.read() is not None:
        return
    if not known.empty():
        if not repair:
            raise ConfigError(
                "the tables hold rows of release 0.1, or a repair that upgrades them was interrupted: deploy this "
                "release, wait until no invocation of 0.1 runs, and run this command with --repair"
            )
        _move_all(scan, table)
    if repair:
        known.record(known.views)


def _move_all(scan: Scan, table: str) -> None:
    for _ in range(_PASSES):
        met = Event()

        def take(page: list[Row], met: Event = met) -> None:
            if rows := [row for row in page if format_of(row) < FORMAT]:
                met.set()
                _move(scan.tables, table, rows)

        scan.each_page(scan.tables.ledger, take)
        if not met.is_set():
            return
    raise Unavailable("the ledger still gets rows of release 0.1: wait until no invocation of it runs, and try again")


def _move(tables: LedgerTables, table: str, rows: Sequence[Row]) -> None:
    """Together as far as one transaction holds them, each alone where another writer came between: what changed since
    it was read is left to the next pass."""
    step = ACTIONS // 4
    for at in range(0, len(rows), step):
        chunk = rows[at : at + step]
        if not _written(tables, table, chunk):
            for row in chunk:
                _written(tables, table, [row])


def _written(tables: LedgerTables, table: str, rows: Sequence[Row]) -> bool:
    actions = [action for row in rows for action in _actions(tables.ledger, table, row)]
    try:
        tables.client.transact_write_items(TransactItems=actions)
    except AwsError as error:
        if code_of(error) == CANCELLED:
            return False
        raise Unavailable(str(classify(error, "ledger TransactWriteItems")), str(error)) from error
    return True


def _actions(ledger: str, table: str, row: Row) -> list[dict[str, Any]]:
    view, found, item = row["id"]["S"].partition("|")
    if not found:
        raise ConfigError(
            f"the ledger row {row['id']['S']} was written by release 0.1 for an item whose key is too long to be read "
            "from it: fill new tables instead, see docs/deploying.md"
        )
    item = f"{escape(table)}/{item}"
    id = entry_id(view, item)
    new = {**row, **WRITTEN, "id": {"S": id}, **named(id, f"{view}|{item}")}
    put = {"TableName": ledger, "Item": new, "ConditionExpression": "attribute_not_exists(id)"}
    delete = {
        "TableName": ledger,
        "Key": {"id": row["id"]},
        "ConditionExpression": "#v = :read",
        "ExpressionAttributeNames": {"#v": "version"},
        "ExpressionAttributeValues": {":read": row["version"]},
    }
    return [{"Put": put}, {"Delete": delete}]
