"""What changed between the declarations that a function's rows were written under and those of the project."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from cli.costs import Bounds, Cost, Kept, Size, Tables, filled, rebuilt, retired
from cli.stack import Function
from distributary.feed.invoke import Feed
from distributary.stream.described import NEVER_FILLED, Description, changes, written_in

LEDGER_BYTES = 400
"""Of a ledger row, where the table cannot be asked for."""

Prices = tuple[float, float] | None
"""Dollars for a million read units, and for a million write units."""


@dataclass(frozen=True, slots=True)
class ViewChange:
    """A view that is `new`, `changed` in some fields, or `removed`. `bounds`: None where `why` says why its cost is not
    known; `items`: how many the source holds."""

    kind: str
    view: str
    fields: tuple[str, ...]
    table: str
    items: int
    bounds: Bounds | None
    why: str = ""

    def command(self, stack: str) -> str:
        """What brings the rows to the declarations."""
        match self.kind:
            case "new":
                return f"distributary backfill {self.table} --function derive --view {self.view} --stack {stack}"
            case "changed":
                return f"distributary rebuild derive --view {self.view} --stack {stack}"
        return f"distributary retire {self.view} --stack {stack}"

    def lines(self, stack: str, prices: Prices) -> Iterator[str]:
        """For people."""
        fields = f" ({', '.join(self.fields)})" if self.fields else ""
        yield f"{self.kind:<8} {self.view}{fields}: {self.command(stack)}"
        if self.bounds is None:
            yield f"{'':8} costs: not known: {self.why}"
            return
        least, most = self.bounds.least, self.bounds.most
        units = [
            _between("read units", least.reads, most.reads),
            _between("write units", least.writes, most.writes),
            _between("requests to DynamoDB", least.requests, most.requests),
        ]
        if prices is not None:
            units.append(_dollars(*(_price(each, prices) for each in (least, most))))
        yield f"{'':8} costs: {self.items:,} items to read; {'; '.join(units)}"
        yield f"{'':8} not known: {self.bounds.unknown}"

    def as_json(self, stack: str, prices: Prices) -> dict[str, Any]:
        """Each figure as [least, most]."""
        said = {
            "change": self.kind,
            "view": self.view,
            "fields": list(self.fields),
            "command": self.command(stack),
        }
        if self.bounds is None:
            return {**said, "cost": None, "unknown": self.why}
        both = self.bounds.least, self.bounds.most
        cost: dict[str, Any] = {
            "items": self.items,
            "read_units": [round(each.reads) for each in both],
            "write_units": [round(each.writes) for each in both],
            "requests": [round(each.requests) for each in both],
        }
        if prices is not None:
            cost["dollars"] = [round(_price(each, prices), 4) for each in both]
        return {**said, "cost": cost, "unknown": self.bounds.unknown}


def _price(cost: Cost, prices: tuple[float, float]) -> float:
    return (cost.reads * prices[0] + cost.writes * prices[1]) / 1e6


def _between(what: str, least: float, most: float) -> str:
    low, high = f"{least:,.0f}", f"{most:,.0f}"
    return f"{low} {what}" if low == high else f"{low} to {high} {what}"


def _dollars(least: float, most: float) -> str:
    low, high = f"${least:,.2f}", f"${most:,.2f}"
    return low if low == high else f"{low} to {high}"


def difference(
    function: Function, now: Mapping[str, Description], size: Size | None, members: int
) -> Iterator[ViewChange]:
    """Between what the function's rows were written under and `now`. `size`: of the source, asked for if None."""
    told = Feed(function.invoke).ask({"declarations": {}}, "declarations")
    written = written_in(told)
    found = changes(written, now)
    sizes = _Sizes(function, size, members, {name: former[-1] or former[0] for name, former in written.items()})
    for name in found.new:
        yield sizes.change("new", name, (), {}, now[name])
    for name, fields in found.changed.items():
        if fields == [NEVER_FILLED]:
            yield sizes.change("new", name, (NEVER_FILLED,), {}, now[name])
            continue
        yield sizes.change("changed", name, tuple(fields), written[name][0] or now[name], now[name])
    for name in found.removed:
        last: Description = next((each for each in written[name] if each), {})
        yield sizes.change("removed", name, (), last, {})


@dataclass(frozen=True, slots=True)
class _Sizes:
    """Of the function's tables, as DescribeTable has them or the user gave them."""

    function: Function
    size: Size | None
    members: int
    written: Mapping[str, Description]

    def change(
        self, kind: str, name: str, fields: tuple[str, ...], before: Description, now: Description
    ) -> ViewChange:
        """With its cost."""
        source = self._source(now or before)
        former, later = (Kept.of(each, self.members) for each in (before or now, now or before))
        if former is None or later is None:
            why = "for this kind of view there is no estimate"
            return ViewChange(kind, name, fields, source or "TABLE", 0, None, why)
        try:
            tables = self._tables(source)
        except ClientError as error:
            why = f"{error}: allow dynamodb:DescribeTable, or give --items and --item-size"
            return ViewChange(kind, name, fields, source or "TABLE", 0, None, why)
        if tables is None:
            why = "the source table's name is not known here: give --items and --item-size"
            return ViewChange(kind, name, fields, "TABLE", 0, None, why)
        match kind:
            case "new":
                bounds = filled(later, tables)
            case "changed":
                bounds = rebuilt(former, later, fields, tables)
            case _:
                bounds = retired(former, tables)
        return ViewChange(kind, name, fields, source or "TABLE", tables.source.items, bounds)

    def _source(self, description: Description) -> str | None:
        """The table that the view's entity names, or the only one that the function reads; both tables of a join, with
        a comma between them. None if it is not known."""
        sources = list(self.function.sources)
        only = sources[0] if len(sources) == 1 else None
        sides = [description.get(side) or only for side in ("of.table", "right.table")[: 1 + ("right" in description)]]
        return ",".join(dict.fromkeys(side for side in sides if side)) if all(sides) else None

    def _tables(self, source: str | None) -> Tables | None:
        if (given := self.size) is not None:
            kept = [each for each in (Kept.of(former, self.members) for former in self.written.values()) if each]
            ledger = sum(not each.register for each in kept)
            return Tables(given, Size(given.items * ledger, LEDGER_BYTES), Size(given.items * len(kept), given.bytes))
        if source is None:
            return None
        environment = self.function.environment
        own = map(self._described, (environment["LEDGER_TABLE"], environment["DERIVED_TABLE"]))
        return Tables(Size.of(map(self._described, source.split(","))), *own)

    def _described(self, table: str) -> Size:
        return Size.described(self.function.clients("dynamodb").describe_table(TableName=table)["Table"])
