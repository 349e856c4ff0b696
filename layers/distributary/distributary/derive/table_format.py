"""What the derived tables were written with: a row in the ledger table says so before any other row is touched.

It holds the format of all rows of the three tables, so that a release that is rolled back stops before it misreads one;
and the declarations that each view's rows were written under, until a rebuild has brought all of them to another. So a
changed declaration is seen to need a rebuild, and so is one that was rolled back: rows were written under both.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from distributary.consumer.deadline import FOREVER, Deadline
from distributary.derive.delta import Row
from distributary.derive.described import described
from distributary.derive.format import FORMAT
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.view import View
from distributary.dynamodb.requests import called, conditional_write
from distributary.errors import ConfigError, Unavailable
from distributary.stream.codec import Typed
from distributary.stream.described import NOT_DECLARED, Description, added, changes
from distributary.stream.format import FORMAT_ATTRIBUTE, check_format, format_of
from distributary.stream.struct import Struct, field

ROW_ID = "%derive"
"""Of the row. A view's name begins with a letter, so no item's ledger row has it."""

Written = Mapping[str, Sequence[Description]]
"""By view, the declarations that its rows were written under: the one of the last rebuild or first fill, and those that
came since. One that says nothing: for a while the view was not declared, and missed what changed then. If it is the
first: the view came to others, and was never filled."""

_TRIES, _SECONDS = 5, 300.0
_KEY: Row = {"id": {"S": ROW_ID}}
_UPGRADE = (
    "the derived or the ledger table holds rows of release 0.1, whose keys and ledger ids this release writes "
    "otherwise: run 'distributary verify derive TABLE ... --repair' once, which upgrades them; until then every change "
    "is failed and delivered again"
)


class TableFormat(Struct, frozen=True):
    """Of the tables, as `views` are declared now. The row: `id`, `format` (N), `views` (M: a `Description` by view) and
    `since` (M: by view a list of those that came later). `told` is called by each check while a rebuild is due."""

    tables: LedgerTables
    views: tuple[View, ...]
    told: Callable[[], None] = lambda: None
    _checked: dict[str, tuple[float, bool]] = field(default_factory=dict)

    def check(self, deadline: Deadline = FOREVER) -> None:
        """1 read unit per environment every few minutes: an earlier version that comes back says so. The first time of
        all, and for other declarations, it writes the row: 1 write unit, up to 3 more reads. Raises ConfigError for
        tables of another release, Unavailable."""
        until, due = self._checked.get(ROW_ID, (0.0, False))
        if self.tables.now() >= until:
            due = self._agree(deadline)
            self._checked[ROW_ID] = self.tables.now() + _SECONDS, due
        if due:
            self.told()

    def _agree(self, deadline: Deadline) -> bool:
        """Whether a rebuild is due."""
        for _ in range(_TRIES):
            row = self.read(deadline)
            if row is None and not self.empty():
                row = self.read(deadline)
                if row is None:
                    raise ConfigError(_UPGRADE)
            written = added(written_under(row), self.described(), row is not None)
            if self._write(written, row):
                found = changes(written, self.described())
                return bool(found.removed or found.changed)
        raise Unavailable("the row of the tables' format: other functions keep writing it; it is tried again")

    def record(self, views: tuple[View, ...]) -> None:
        """The views' rows are written with `shards` as they are declared now. Raises as `check`."""
        now = {view.name: described(view) for view in views}

        def moved(name: str, each: Description) -> Description:
            shards = {"shards": now[name]["shards"]} if "shards" in now.get(name, {}) else {}
            return {**each, **shards} if each else each

        def rewritten(row: Row | None) -> Written:
            found = {name: [moved(name, each) for each in found] for name, found in written_under(row).items()}
            return {**{name: [each] for name, each in now.items()}, **found}

        self._rewritten(rewritten)

    def rebuilt(self, names: Collection[str], retired: Collection[str]) -> None:
        """All rows of the views `names` are as they are declared now, and there are none of those that are `retired`.
        Raises as `check`."""
        now = {name: [each] for name, each in self.described().items() if name in names}

        def rewritten(row: Row | None) -> Written:
            return {**{name: each for name, each in written_under(row).items() if name not in retired}, **now}

        self._rewritten(rewritten)

    def filled(self, names: Collection[str]) -> None:
        """All items that the source held have been given to the views `names`. Says nothing of a view that has changed
        since it was new: that needs a rebuild. Raises as `check`."""
        now = self.described()

        def rewritten(row: Row | None) -> Written:
            found = written_under(row)
            new = [each for each in names if [NOT_DECLARED, now.get(each)] == found.get(each)]
            return {**found, **{name: [now[name]] for name in new}}

        self._rewritten(rewritten)

    def described(self) -> dict[str, Description]:
        """Each view as it is declared now."""
        return {view.name: described(view) for view in self.views}

    def _rewritten(self, content: Callable[[Row | None], Written]) -> None:
        for _ in range(_TRIES):
            row = self.read()
            if self._write(content(row), row):
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

    def _write(self, written: Written, before: Row | None) -> bool:
        """Whether the row holds this now: no other function has written it since it was read."""
        if before is not None and (written_under(before), format_of(before)) == (written, FORMAT):
            return True
        since = {name: {"L": [_typed(each) for each in found[1:]]} for name, found in written.items() if found[1:]}
        item = {
            **_KEY,
            FORMAT_ATTRIBUTE: {"N": str(FORMAT)},
            "views": {"M": {name: _typed(found[0]) for name, found in written.items()}},
            **({"since": {"M": since}} if since else {}),
        }
        put, what = self.tables.client.put_item, "table format PutItem"
        return conditional_write(put, what, TableName=self.tables.ledger, Item=item, **_as_read(before)).held


def _as_read(before: Row | None) -> dict[str, Any]:
    """On condition that the row is as it was read."""
    if before is None:
        return {"ConditionExpression": "attribute_not_exists(id)"}
    names = {f"#n{at}": name for at, name in enumerate((FORMAT_ATTRIBUTE, "views", "since"))}
    there = {place: name for place, name in names.items() if name in before}
    terms = [f"{place} = :{place[1:]}" if place in there else f"attribute_not_exists({place})" for place in names]
    return {
        "ConditionExpression": " AND ".join(terms),
        "ExpressionAttributeNames": names,
        "ExpressionAttributeValues": {f":{place[1:]}": before[name] for place, name in there.items()},
    }


def written_under(row: Row | None) -> dict[str, list[Description]]:
    """The declarations by which each view's rows were written, also of views that are declared no more."""
    first, since = (_fields(row, name) for name in ("views", "since"))
    later = {name: [_read(each) for each in typed["L"]] for name, typed in since.items()}
    return {name: [_read(each), *later.get(name, [])] for name, each in first.items()}


def _fields(row: Row | None, name: str) -> Mapping[str, Typed]:
    return row.get(name, {"M": {}})["M"] if row else {}


def _read(typed: Typed) -> Description:
    return {name: text["S"] for name, text in typed["M"].items()}


def _typed(each: Description) -> Typed:
    return {"M": {name: {"S": text} for name, text in each.items()}}
