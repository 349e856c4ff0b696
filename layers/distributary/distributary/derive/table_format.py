"""What the derived tables were written with: a row in the ledger table says so before any other row is touched.

It holds the format of all rows of the three tables, so that a release that is rolled back stops before it misreads one;
the `shards` of each aggregate: rows of shards that are no longer declared would be lost from sight; and the declaration
that each view's rows were written under, until a rebuild has brought all of them to another.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from distributary.consumer.deadline import FOREVER, Deadline
from distributary.derive.declarations import Aggregate
from distributary.derive.delta import Row
from distributary.derive.described import Description, changes, described
from distributary.derive.format import FORMAT
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.view import View
from distributary.dynamodb.requests import called, conditional_write
from distributary.errors import ConfigError, Unavailable
from distributary.stream.format import FORMAT_ATTRIBUTE, check_format, format_of
from distributary.stream.struct import Struct, field

ROW_ID = "%derive"
"""Of the row. A view's name begins with a letter, so no item's ledger row has it."""

Content = tuple[Mapping[str, int], Mapping[str, Description]]
"""The row's shards and views."""

_TRIES, _SECONDS = 5, 300.0
_KEY: Row = {"id": {"S": ROW_ID}}
_UPGRADE = (
    "the derived or the ledger table holds rows of release 0.1, whose keys and ledger ids this release writes "
    "otherwise: run 'distributary verify derive TABLE ... --repair' once, which upgrades them; until then every change "
    "is failed and delivered again"
)


class TableFormat(Struct, frozen=True):
    """Of the tables, as `views` are declared now. The row: `id`, `format` (N), `shards` (M: a number by view), `views`
    (M: a `Description` by view). `told` is called by each check while a rebuild is due."""

    tables: LedgerTables
    views: tuple[View, ...]
    told: Callable[[], None] = lambda: None
    _checked: dict[str, float] = field(default_factory=dict)

    def check(self, deadline: Deadline = FOREVER) -> None:
        """1 read unit once per environment. The first time of all it writes the row: 1 write unit, up to 3 more reads.
        While a rebuild is due, it is read again every few minutes. Raises ConfigError for tables of another release and
        for changed `shards`, Unavailable."""
        if self.tables.now() >= self._checked.get(ROW_ID, 0.0):
            due = self._agree(deadline)
            self._checked[ROW_ID] = self.tables.now() + _SECONDS if due else float("inf")
        if self._checked[ROW_ID] != float("inf"):
            self.told()

    def _agree(self, deadline: Deadline) -> bool:
        """Whether a rebuild is due."""
        for _ in range(_TRIES):
            row = self.read(deadline)
            if row is None and not self.empty():
                row = self.read(deadline)
                if row is None:
                    raise ConfigError(_UPGRADE)
            if faults := changed(recorded(row), declared(self.views)):
                raise ConfigError(faults)
            written = {**self.described(), **written_under(row)}
            if self._write({**recorded(row), **declared(self.views)}, written, row):
                found = changes(written, self.described())
                return bool(found.removed or found.changed)
        raise Unavailable("the row of the tables' format: other functions keep writing it; it is tried again")

    def record(self, views: tuple[View, ...]) -> None:
        """The views' rows are written with `shards` as they are declared now. Raises as `check`."""
        self._rewritten(lambda row: ({**recorded(row), **declared(views)}, written_under(row)))

    def rebuilt(self, names: Collection[str], retired: Collection[str]) -> None:
        """All rows of the views `names` are as they are declared now, and there are none of those that are `retired`.
        Raises as `check`."""
        now = {name: each for name, each in self.described().items() if name in names}

        def rewritten(row: Row | None) -> Content:
            shards = {name: number for name, number in recorded(row).items() if name not in retired}
            kept = {name: each for name, each in written_under(row).items() if name not in retired}
            return shards, {**kept, **now}

        self._rewritten(rewritten)

    def described(self) -> dict[str, Description]:
        """Each view as it is declared now."""
        return {view.name: described(view) for view in self.views}

    def _rewritten(self, content: Callable[[Row | None], Content]) -> None:
        for _ in range(_TRIES):
            row = self.read()
            if self._write(*content(row), row):
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

    def _write(self, shards: Mapping[str, int], views: Mapping[str, Description], before: Row | None) -> bool:
        """Whether the row holds this now: no other function has written it since it was read."""
        kept = (recorded(before), written_under(before), format_of(before)) if before is not None else None
        if kept == (shards, views, FORMAT):
            return True
        item = {
            **_KEY,
            FORMAT_ATTRIBUTE: {"N": str(FORMAT)},
            "shards": {"M": {name: {"N": str(number)} for name, number in shards.items()}},
            "views": {"M": {name: {"M": {n: {"S": t} for n, t in each.items()}} for name, each in views.items()}},
        }
        put, what = self.tables.client.put_item, "table format PutItem"
        return conditional_write(put, what, TableName=self.tables.ledger, Item=item, **_as_read(before)).held


def _as_read(before: Row | None) -> dict[str, Any]:
    """On condition that the row is as it was read."""
    if before is None:
        return {"ConditionExpression": "attribute_not_exists(id)"}
    names = {f"#n{at}": name for at, name in enumerate((FORMAT_ATTRIBUTE, "shards", "views"))}
    there = {place: name for place, name in names.items() if name in before}
    terms = [f"{place} = :{place[1:]}" if place in there else f"attribute_not_exists({place})" for place in names]
    return {
        "ConditionExpression": " AND ".join(terms),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": {f":{place[1:]}": before[name] for place, name in there.items()},
    }


def recorded(row: Row | None) -> dict[str, int]:
    """The shards of each aggregate by which rows were written, also of views that are declared no more."""
    return {name: int(number["N"]) for name, number in row["shards"]["M"].items()} if row else {}


def written_under(row: Row | None) -> dict[str, Description]:
    """The declaration by which each view's rows were written, also of views that are declared no more."""
    views = row.get("views", {"M": {}})["M"] if row else {}
    return {name: {field: text["S"] for field, text in each["M"].items()} for name, each in views.items()}


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
