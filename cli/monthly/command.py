"""`distributary costs`: what a table's traffic costs each month, by branch and view."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import project as projects
from cli.deployed import reported
from cli.errors import UsageFault
from cli.monthly import branches
from cli.monthly.batch import Habits
from cli.monthly.branches import Monthly
from cli.monthly.joined_rows import counted
from cli.monthly.prices import FILE, Prices, read
from cli.monthly.traffic import Said, Traffic, traffic
from cli.options import Json, Region, StackEndpoint, checked_endpoint, pairs
from cli.stack import Clients, clients
from distributary.derive.declarations import Join
from distributary.derive.described import described
from distributary.derive.view import View
from distributary.replicate.declarations import MultiActive
from distributary.stream.described import Description
from distributary.verify.report import printable

_USUAL_REGION = "us-east-1"


def costs(
    context: typer.Context,
    table: Annotated[str, typer.Argument(metavar="TABLE", help="The source table.")],
    function: Annotated[list[str], typer.Option(help="Only this function; may be repeated.")] = [],
    writes: Annotated[
        float | None, typer.Option(min=0, metavar="N", help="Changes a second (default: its metrics).")
    ] = None,
    updates: Annotated[
        float | None, typer.Option(min=0, max=1, metavar="SHARE", help="Of changes, those of items that exist.")
    ] = None,
    deletes: Annotated[
        float | None, typer.Option(min=0, max=1, metavar="SHARE", help="Of changes, those that delete.")
    ] = None,
    items: Annotated[int | None, typer.Option(min=1, help="That the table holds.")] = None,
    item_size: Annotated[int | None, typer.Option(min=1, metavar="BYTES", help="Of an item, on average.")] = None,
    batch: Annotated[float | None, typer.Option(min=1, metavar="N", help="Changes of an invocation.")] = None,
    distinct: Annotated[float | None, typer.Option(min=1, metavar="N", help="Different items of these.")] = None,
    inside: Annotated[
        float, typer.Option(min=0, max=1, metavar="SHARE", help="Of changes, those that a view is about.")
    ] = 1.0,
    touched: Annotated[
        float, typer.Option(min=0, max=1, metavar="SHARE", help="Of updates, those that change what a view shows.")
    ] = 1.0,
    moved: Annotated[
        float, typer.Option(min=0, max=1, metavar="SHARE", help="Of updates, those that move a row or change a group.")
    ] = 0.0,
    reordered: Annotated[
        float,
        typer.Option(
            min=0, max=1, metavar="SHARE", help="Of updates, those that change `by`, `min`, `max` or `distinct`."
        ),
    ] = 0.0,
    groups: Annotated[
        list[str], typer.Option(metavar="VIEW=N", help="How many groups a view has; may be repeated.")
    ] = [],
    members: Annotated[int, typer.Option(min=1, help="Members that an item has in a view with `each`.")] = 1,
    rows: Annotated[
        list[str],
        typer.Option(
            metavar="VIEW=N", help="How many rows a right item has in a join (default: counted); may be repeated."
        ),
    ] = [],
    right: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, metavar="SHARE", help="Of changes, those of right items of a join, if both are here."
        ),
    ] = None,
    milliseconds: Annotated[float | None, typer.Option(min=1, help="Of an invocation.")] = None,
    prices: Annotated[
        Path, typer.Option(metavar="FILE", help="Prices of your own, in the form of prices.toml.")
    ] = FILE,
    endpoint_url: StackEndpoint = None,
    region: Region = None,
    json: Json = None,
) -> int:
    """Print what the declared branches and views take in a month: units, requests, Lambda, S3, OpenSearch, dollars.

    Reads the table's own metrics of the last two weeks, or what the options say. It changes nothing.
    """
    reach = clients(checked_endpoint(endpoint_url), region)
    chosen = _chosen(function)
    said = Said(writes, updates, deletes, items, item_size, batch, distinct)
    found = traffic(table, said, reach, datetime.now(UTC))
    where = region or (reach("dynamodb").meta.region_name if said.needs_table else _USUAL_REGION)
    of_groups, of_rows = _numbers("groups", groups), _numbers("rows", rows)
    if "derive" not in chosen and (of_groups or of_rows):
        raise UsageFault("--groups and --rows are of views: leave them out, or add --function derive")
    habits = Habits(inside, touched, moved, reordered, groups=of_groups, members=members, rows=of_rows, right=right)
    asked = reach if said.needs_table else None
    parts = [row for name in chosen for row in _parts(context, name, table, found, habits, asked, milliseconds)]
    priced = read(prices, where)
    report: dict[str, Any] = {"table": table, "traffic": found.line(), "region": where}
    report |= {"prices_as_of": priced and priced.as_of, "parts": [row.as_json(priced) for row in parts]}
    return reported(report, _lines(table, found, parts, priced, where), json, 0)


def _chosen(given: list[str]) -> list[str]:
    if unknown := sorted(set(given) - set(projects.FUNCTIONS)):
        raise UsageFault(f"--function {unknown[0]}: give {', '.join(projects.FUNCTIONS)}")
    return given or list(projects.FUNCTIONS)


def _numbers(option: str, given: list[str]) -> dict[str, int]:
    found = pairs(f"--{option}", given, "VIEW=N")
    if wrong := next((name for name, many in found.items() if not many.isdecimal() or int(many) < 1), None):
        raise UsageFault(f"--{option} {wrong}={found[wrong]}: give a whole number of {option}, 1 or more")
    return {name: int(many) for name, many in found.items()}


def _check(option: str, given: Mapping[str, float], views: Mapping[str, Description], *, joins: bool) -> None:
    """Raises UsageFault for a view that is not declared, or is not of this kind."""
    names = sorted(name for name, each in views.items() if ("right" in each) is joins)
    if unknown := sorted(given.keys() - set(names)):
        kind = "Join" if joins else "view with groups"
        raise UsageFault(f"--{option} {unknown[0]}: no {kind} has this name; there is {', '.join(names) or 'none'}")


def _parts(
    context: typer.Context,
    function: str,
    table: str,
    found: Traffic,
    habits: Habits,
    asked: Clients | None,
    milliseconds: float | None,
) -> list[Monthly]:
    """Of one function's declarations. archive has none, and its invocations are its files. `asked`: of AWS, if it may
    be asked for more."""
    if function == "archive":
        return branches.of_archive(found)
    with projects.declarations(projects.find(context.obj), function) as declared:
        made = _declared(function, declared, table, found, habits, asked)
    return [*made, branches.of_lambda(function, found, milliseconds)] if made else []


def _declared(
    function: str, declared: Any, table: str, found: Traffic, habits: Habits, asked: Clients | None
) -> list[Monthly]:
    match function:
        case "derive":
            return _views(declared, table, found, habits, asked)
        case "index":
            return branches.of_index([source.declared.name for source in declared], found)
        case "welcome":
            return branches.of_welcome([rule.name for rule in declared], found)
    if isinstance(declared, MultiActive):
        return branches.of_regions(declared, found)
    return branches.of_mirror(found)


def _views(
    declared: Sequence[View], table: str, found: Traffic, habits: Habits, asked: Clients | None
) -> list[Monthly]:
    """What the user does not say of a join's right items is counted."""
    views, given = {view.name: described(view) for view in declared}, habits.rows or {}
    _check("groups", habits.groups or {}, views, joins=False)
    _check("rows", given, views, joins=True)
    joins = [view.declared for view in declared if isinstance(view.declared, Join) and view.name not in given]
    assumed = {each.view: each for each in counted(joins, table, asked)}
    rows = {**given, **{name: each.many for name, each in assumed.items()}}
    made = branches.of_derive(views, table, found, replace(habits, rows=rows))
    return [replace(row, assumed=assumed[row.part].line()) if row.part in assumed else row for row in made]


def _lines(table: str, found: Traffic, rows: Sequence[Monthly], prices: Prices | None, where: str) -> Iterator[str]:
    yield f"{table}: {found.line()}"
    for row in rows:
        figures = ", ".join(_figure(name, value) for name, value in row.figures().items())
        cost = f"${row.dollars(prices):,.2f}" if prices and not row.why else ""
        yield printable(f"{row.branch:<10} {row.part:<20} {cost:>12}  {row.why or figures or 'nothing'}")
        if row.assumed:
            yield printable(f"{'':<10} {row.assumed}")
    if prices is None:
        yield f"no prices of {where}: add it to {FILE.name}, or give --prices"
    else:
        total = sum(row.dollars(prices) for row in rows)
        yield f"{'a month':<31} ${total:>11,.2f}  prices of {where}, as of {prices.as_of}; without storage of tables"


_NAMES = {
    "writes": "write units",
    "reads": "read units",
    "requests": "requests to DynamoDB",
    "gb_seconds": "GB-seconds",
    "invocations": "invocations",
    "puts": "PUT requests to S3",
    "stored_gb": "GB into S3",
    "search_gb": "GB to OpenSearch",
    "search_lines": "lines of bulk requests",
    "out_gb": "GB to another region",
    "mails": "messages",
}


def _figure(name: str, value: float) -> str:
    return f"{value:,.2f} {_NAMES[name]}" if name.endswith("_gb") else f"{value:,.0f} {_NAMES[name]}"
