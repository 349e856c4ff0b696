"""Derived tables against their source: each item's rows, ledger row and groups, looked at twice before they count."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from distributary.consumer.aws import AwsError, code_of, why_no_client, why_no_table
from distributary.consumer.parallel import Parallel
from distributary.derive.join_validation import entities
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.table_format import TableFormat
from distributary.derive.validation import check
from distributary.derive.verify.item_verifier import Comparator
from distributary.derive.verify.repair import Repair
from distributary.derive.verify.scan import Scan
from distributary.derive.verify.upgrade import prepare
from distributary.derive.verify.verifier import Verify
from distributary.derive.view import View
from distributary.dynamodb.tombstones import Tombstones
from distributary.dynamodb.versioned_table import Register
from distributary.errors import ConfigError
from distributary.readers import full_export
from distributary.stream import version as versions
from distributary.stream.entity import other_keys
from distributary.stream.keys import table_arn, table_of
from distributary.verify.parked import NOTHING_LISTED, ParkedItems
from distributary.verify.progress import Progress, progress
from distributary.verify.report import Report, printable

_TABLES = {"derived": ("pk", "sk"), "ledger": ("id",), "tombstone": ("id",)}
"""Tables that the function keeps, with their key attributes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to compare. `pause`: seconds between looks, longer than the lag. `view`: only these views; all if empty.
    `export`: a folder or s3://bucket/prefix with a full export, read in place of the scan. `parking`: the bucket that
    tells whose changes are parked; none if empty. `sources`: the streams that the function reads, if they are
    several."""

    table: str
    derived_table: str = ""
    ledger_table: str = ""
    tombstone_table: str = ""
    endpoint_url: str | None = None
    region: str | None = None
    segments: int = 4
    view: Sequence[str] = ()
    repair: bool = False
    export: str | None = None
    pause: float = 10.0
    generation: int = 0
    tombstone_days: int = 7
    parking: str = ""
    sources: Sequence[str] = ()


def run(options: Options) -> Report:
    """What differs. Raises ConfigError with every fault at once, and Unavailable."""
    client = _client(options, "dynamodb")
    chosen, others = _views(options.view, table_of(table_arn(options.table)))
    _check(options)
    keys, items = _described(client, options.table, chosen)
    _check_tables(client, options)
    expected = {"rows": 0, "ledger rows": 0, "groups": 0, "items": items}
    with progress(expected) as report_progress:
        verify = _assembled(options, client, chosen, others, keys, report_progress)
        known = TableFormat(verify.scan.tables, (*chosen, *others))
        prepare(known, verify.scan, table_of(table_arn(options.table)), options.repair)
        report = verify.run(_exported(options, keys) if options.export else None)
        if options.repair:
            known.record(chosen)
        return report


def _exported(options: Options, keys: tuple[str, ...]) -> Iterator[list[full_export.Item]]:
    name = table_of(table_arn(options.table))
    return full_export.pages(str(options.export), lambda: _client(options, "s3"), keys, name)


def _check(options: Options) -> None:
    faults = [
        f"--{name}-table is missing: {_output(name)}"
        for name in _TABLES
        if not getattr(options, f"{name}_table") and (options.repair or name != "tombstone")
    ]
    faults += [] if 1 <= options.segments <= 64 else ["--segments: give 1 to 64"]
    faults += [] if 0 <= options.pause <= 3600 else ["--pause: give 0 to 3600 seconds"]
    faults += [] if 0 <= options.generation < versions.GENERATIONS else ["--generation: give the function's GENERATION"]
    faults += [] if 1 <= options.tombstone_days <= 3650 else ["--tombstone-days: give 1 to 3650"]
    if options.export and not options.export.startswith("s3://") and not Path(options.export).is_dir():
        faults.append("--export: there is no such folder")
    if faults:
        raise ConfigError(faults)


def _assembled(
    options: Options,
    client: Any,
    chosen: tuple[View, ...],
    others: tuple[View, ...],
    keys: tuple[str, ...],
    report_progress: Progress,
) -> Verify:
    tables = LedgerTables(client, options.ledger_table, options.derived_table, options.tombstone_days)
    parallel = Parallel(options.segments)
    comparator = Comparator(
        options.table, chosen, tables, versions.of(options.generation, versions.SNAPSHOT_POSITION), options.pause
    )
    tombstones = Tombstones(client, options.tombstone_table, options.tombstone_days)
    register = Register(client, options.derived_table, tombstones, Parallel(1))
    repair = Repair(tables, register) if options.repair else None
    parked = NOTHING_LISTED
    if options.parking:
        parked = ParkedItems.of(_client(options, "s3"), options.parking, "derive", options.table)
    scan, also = Scan(tables, parallel, options.segments), frozenset(map(table_of, options.sources))
    return Verify(comparator, scan, keys, others, repair, report_progress, parked, also)


def _views(names: Sequence[str], table: str) -> tuple[tuple[View, ...], tuple[View, ...]]:
    """Those to verify, and those whose rows are passed over: not asked for, or of other tables."""
    try:
        views = check(import_module("views").VIEWS)
    except ModuleNotFoundError as error:
        if error.name != "views":
            raise
        raise ConfigError("there is no views.py on PYTHONPATH: add functions/derive to it") from None
    if unknown := sorted(set(names) - {view.name for view in views}):
        declared = ", ".join(sorted(view.name for view in views))
        raise ConfigError(f"--view: no view is called {', '.join(unknown)}: declared are {declared}")
    wanted = [view for view in views if not names or view.name in names]
    chosen = tuple(view for view in wanted if any(each.table in (None, table) for each in entities(view.declared)))
    if names and (other := next((view for view in wanted if view not in chosen), None)):
        raise ConfigError(f"--view: view '{other.name}' is of table '{other.declared.of.table}', not '{table}'")
    if not chosen:
        known = sorted({str(each.table) for view in views for each in entities(view.declared)})
        raise ConfigError(f"no view is of table '{table}': views.py names {', '.join(known)}: give one of them")
    return chosen, tuple(view for view in views if view not in chosen)


def _client(options: Options, service: str) -> Any:
    config = Config(max_pool_connections=64, retries={"mode": "adaptive", "total_max_attempts": 10})
    session = boto3.Session(region_name=options.region)
    try:
        return session.client(service, endpoint_url=options.endpoint_url, config=config)  # type: ignore[call-overload]
    except (*AwsError, ValueError) as error:
        raise ConfigError(why_no_client(error)) from None


def _described(client: Any, table: str, views: Sequence[View]) -> tuple[tuple[str, ...], int]:
    """The source's key attributes, and about how many items it has."""
    try:
        description = client.describe_table(TableName=table)["Table"]
    except AwsError as error:
        raise ConfigError(why_no_table(table, error)) from None
    keys = tuple(str(each["AttributeName"]) for each in description["KeySchema"])
    read = {
        f"view '{view.name}', {each.name}": each
        for view in views
        for each in entities(view.declared)
        if each.table in (None, table_of(table_arn(table)))
    }
    if faults := other_keys(read, keys):
        raise ConfigError(faults)
    return keys, int(description.get("ItemCount", 0))


def _output(name: str) -> str:
    return f"give the stack's output {name.capitalize()}TableName"


def _check_tables(client: Any, options: Options) -> None:
    """What else is wrong with a table, such as a permission, is found where the table is used."""
    faults = []
    for name in _TABLES:
        if table := getattr(options, f"{name}_table"):
            try:
                schema = client.describe_table(TableName=table)["Table"]["KeySchema"]
            except AwsError as error:
                if code_of(error) == "ResourceNotFoundException":
                    faults.append(f"--{name}-table: {why_no_table(table, error)}")
                continue
            own, keys = [str(each["AttributeName"]) for each in schema], _TABLES[name]
            if set(own) != set(keys):
                found = f"table {table} has the key {', '.join(own)}, and a {name} table {', '.join(keys)}"
                faults.append(f"--{name}-table: {found}: {_output(name)}")
    if faults:
        raise ConfigError(faults)


def lines(report: Report) -> Iterator[str]:
    """The report for people: what differs, then the counts."""
    for each in report.samples.get("differences", []):
        yield printable(f"{each['kind']:<8} view {each['view']}  {each['item']}  {each['where']}")
    yield from map(printable, report.parked_lines())
    for what in ("moving", "unknown"):
        for each in report.samples.get(what, [])[:20]:
            yield printable(f"{what:<8} {'  '.join(each.values())}")
    names = ("items", "rows", "ledger rows", "groups", "parked", "moving", "unknown", "differences", "repaired")
    yield ", ".join(f"{name} {report[name]}" for name in names)
