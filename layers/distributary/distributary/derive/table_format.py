"""What the derived tables were written with: a row in the ledger table says so before any other row is touched.

It holds the format of all rows of the three tables, so that a release that is rolled back stops before it misreads one,
and the `shards` of each aggregate: rows of shards that are no longer declared would be lost from sight.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from distributary.consumer.deadline import FOREVER, Deadline
from distributary.derive.declarations import Aggregate
from distributary.derive.delta import Row
from distributary.derive.format import FORMAT
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.view import View
from distributary.dynamodb.requests import called, conditional_write
from distributary.errors import ConfigError, Unavailable
from distributary.stream.format import FORMAT_ATTRIBUTE, check_format, format_of

ROW_ID = "%derive"
"""Of the row. A view's name begins with a letter, so no item's ledger row has it."""

_TRIES = 5
_KEY: Row = {"id": {"S": ROW_ID}}
_UPGRADE = (
    "the derived or the ledger table holds rows of release 0.1, whose keys and ledger ids this release writes "
    "otherwise: run 'distributary verify derive TABLE ... --repair' once, which upgrades them; until then every change "
    "is failed and delivered again"
)


@dataclass(frozen=True, slots=True)
class TableFormat:
    """Of the tables, as `views` are declared now. The row: `id`, `format` (N), `shards` (M: a number by view)."""

    tables: LedgerTables
    views: tuple[View, ...]
    _checked: set[str] = field(default_factory=set)

    def check(self, deadline: Deadline = FOREVER) -> None:
        """1 read unit once per environment. The first time of all it writes the row: 1 write unit, up to 3 more reads.
        Raises ConfigError for tables of another release and for changed `shards`, Unavailable."""
        if ROW_ID not in self._checked:
            self._agree(deadline)
            self._checked.add(ROW_ID)

    def _agree(self, deadline: Deadline) -> None:
        for _ in range(_TRIES):
            row = self.read(deadline)
            if row is None and not self.empty():
                row = self.read(deadline)
                if row is None:
                    raise ConfigError(_UPGRADE)
            if faults := changed(recorded(row), declared(self.views)):
                raise ConfigError(faults)
            if self._write({**recorded(row), **declared(self.views)}, row):
                return
        raise Unavailable("the row of the tables' format: other functions keep writing it; it is tried again")

    def record(self, views: tuple[View, ...]) -> None:
        """The views' rows are written as they are declared now. Raises as `check`."""
        for _ in range(_TRIES):
            row = self.read()
            if self._write({**recorded(row), **declared(views)}, row):
                return
        raise Unavailable("the row of the tables' format: other functions keep writing it; try again")

    def read(self, deadline: Deadline = FOREVER) -> Row | None:
        """The row, if there is one. Raises ConfigError if a later release wrote it, Unavailable."""
        found = self.tables.ledger_rows([ROW_ID], deadline).get(ROW_ID)
        if found is not None:
            check_format("the row of the derived tables' format", format_of(found), FORMAT)
        return found

    def empty(self) -> bool:
        """Whether neither table holds a row."""
        return not any(map(self._any_row, (self.tables.ledger, self.tables.derived)))

    def _any_row(self, table: str) -> bool:
        request: dict[str, Any] = {"TableName": table, "Limit": 1, "ConsistentRead": True}
        while True:
            page = called(self.tables.client.scan, "table format Scan", **request)
            if page["Items"] or not page.get("LastEvaluatedKey"):
                return bool(page["Items"])
            request["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def _write(self, shards: Mapping[str, int], before: Row | None) -> bool:
        """Whether the row holds this now: no other function has written it since it was read."""
        if before is not None and (recorded(before), format_of(before)) == (shards, FORMAT):
            return True
        item = {
            **_KEY,
            FORMAT_ATTRIBUTE: {"N": str(FORMAT)},
            "shards": {"M": {name: {"N": str(number)} for name, number in shards.items()}},
        }
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(id)"}
        if before is not None:
            condition = {
                "ConditionExpression": "#f = :format AND shards = :shards",
                "ExpressionAttributeNames": {"#f": FORMAT_ATTRIBUTE},
                "ExpressionAttributeValues": {":format": before[FORMAT_ATTRIBUTE], ":shards": before["shards"]},
            }
        put, what = self.tables.client.put_item, "table format PutItem"
        return conditional_write(put, what, TableName=self.tables.ledger, Item=item, **condition).held


def recorded(row: Row | None) -> dict[str, int]:
    """The shards of each aggregate by which rows were written, also of views that are declared no more."""
    return {name: int(number["N"]) for name, number in row["shards"]["M"].items()} if row else {}


def declared(views: tuple[View, ...]) -> dict[str, int]:
    """The shards of each aggregate as it is declared."""
    return {view.name: view.declared.shards for view in views if isinstance(view.declared, Aggregate)}


def changed(before: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    """A fault for each aggregate whose shards are not those that its rows were written by."""
    return [
        f"view '{name}': its rows were written with shards={before[name]}, and it declares shards={number}: readers "
        f"would lose rows from sight. Declare shards={before[name]} again, or run 'distributary verify derive TABLE "
        "... --repair' with this declaration, which moves the rows; until then every change is failed and delivered "
        "again"
        for name, number in now.items()
        if before.get(name, number) != number
    ]
