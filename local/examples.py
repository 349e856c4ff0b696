"""Runs an example: its writer on embedded services, the functions on its table, and a comparison of all they keep."""

import importlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console

from distributary.readers.archive import ArchivedChange
from local import downstream
from local.attach_report import counts, went_wrong
from local.aws import Aws
from local.downstream import Bus, Downstream
from local.emulators import Endpoints, embedded
from local.errors import LocalError
from local.esm.mapping import Delivering, Joined
from local.function_logs import LogFiles
from local.stack import Project, Stack
from local.template import TableSpec

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
REGION = "us-east-1"
CALLS = 400
DRAIN_SECONDS = 120.0
LISTED = 20


Tables = Mapping[str, Sequence[dict[str, Any]]]
"""The items of each table, in DynamoDB JSON."""


@dataclass(frozen=True, slots=True)
class Tier:
    """A stack: by function, the folder of its declarations, and functions without any. It reads the example's tables,
    each function as many as it can, or the derived table of the stack that `over` names. `parameters`: the
    template's."""

    stack: str
    declared: Mapping[str, Path]
    also: tuple[str, ...] = ()
    over: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)

    @property
    def functions(self) -> tuple[str, ...]:
        """All that it has."""
        return (*self.declared, *self.also)


@dataclass(frozen=True, slots=True)
class Example:
    """`tables`: of each, the arguments of CreateTable. `write(aws, calls)` runs the writer, and returns its journal.
    `expected(tables, journal)` computes what should be downstream, without the functions' declarations.
    `document_name`: the fields that name a document. `archived` names a change in the archive of the first table, or
    leaves it out. Each tier comes after the one that it reads."""

    tables: tuple[Mapping[str, Any], ...]
    tiers: tuple[Tier, ...]
    write: Callable[[Aws, int], Any]
    expected: Callable[[Tables, Any], Downstream]
    indexes: tuple[str, ...] = ()
    document_name: tuple[str, ...] = ()
    archived: Callable[[ArchivedChange], str | None] | None = None

    @property
    def names(self) -> list[str]:
        """Of the tables."""
        return [str(table["TableName"]) for table in self.tables]


@dataclass(frozen=True, slots=True)
class Result:
    """`wrong`: a line for each difference, and for each function that parked, failed or gave up a change."""

    made: Downstream
    wrong: list[str]


def named(name: str) -> Example:
    """An example by its folder's name. Raises LocalError if there is none."""
    names = sorted(each.parent.name for each in EXAMPLES.glob("*/example.py"))
    if name not in names:
        raise LocalError(f"there is no example {name!r}: make example NAME=..., with one of {', '.join(names)}")
    found: Example = importlib.import_module(f"examples.{name}.example").EXAMPLE
    return found


def run(example: Example, endpoints: Endpoints, artifacts: Path, console: Console, calls: int = CALLS) -> Result:
    """Writes, drains and compares. `artifacts`: where the functions are built."""
    aws = Aws.at_emulator(endpoints.aws, REGION)
    client, bus = aws.client("dynamodb"), Bus(aws, f"{example.tiers[0].stack}-events")
    streams = [client.create_table(**each)["TableDescription"]["LatestStreamArn"] for each in example.tables]
    settings = {
        "OpenSearchEndpoint": endpoints.opensearch,
        "OpenSearchService": "none",
        "WelcomeEventBus": bus.name,
        "DerivedTableStream": "true",
    }
    with ExitStack() as held:
        attached = []
        for tier in example.tiers:
            stack = held.enter_context(_stack(tier, aws, settings, artifacts))
            read = [_derived_stream(client, tier.over)] if tier.over else streams
            attached.append((stack, _attached(stack, example.tables[0], read, tier.functions)))
        journal = example.write(aws, calls)
        for _, mappings in attached:
            _drain(mappings)
        wrong = [line for stack, mappings in attached for line in _faults(stack, mappings, artifacts, console)]
        made = _made(example, aws, endpoints, bus, [stack for stack, _ in attached])
    tables = {name: list(downstream.scanned(client, name)) for name in example.names}
    return Result(made, [*wrong, *example.expected(tables, journal).differences(made)])


def _stack(tier: Tier, aws: Aws, settings: Mapping[str, str], artifacts: Path) -> Stack:
    project, logs = Project(ROOT, artifacts, tier.declared, tier.stack), LogFiles(artifacts / "logs" / tier.stack)
    return Stack(project, aws, {**settings, **tier.parameters}, logs)


def _faults(stack: Stack, mappings: Mapping[str, Delivering], artifacts: Path, console: Console) -> list[str]:
    """Prints what the functions of a stack counted; a line for each that parked, failed or gave up a change."""
    console.print(counts(stack, mappings))
    names = [name for name, each in mappings.items() if went_wrong(stack, name, each)]
    return [f"{name} parked, failed or gave up a change: see {artifacts}/logs" for name in names]


def _attached(
    stack: Stack, table: Mapping[str, Any], streams: Sequence[str], functions: Sequence[str]
) -> dict[str, Delivering]:
    """By function. Each is made with all of its streams before the first delivers. A replica is one of `table`."""
    stack.prepare(functions)
    if "index" in functions:
        stack.apply_index()
    if "replicate" in functions:
        stack.create_replica(TableSpec(table["TableName"], table["KeySchema"], table["AttributeDefinitions"]))
    read = {name: stack.readable(name, streams) for name in functions}
    for name, own in read.items():
        stack.function(name, *own)
    return {name: Joined(tuple(stack.attach(each, [name])[name] for each in own)) for name, own in read.items()}


def _made(example: Example, aws: Aws, endpoints: Endpoints, bus: Bus, stacks: Sequence[Stack]) -> Downstream:
    rows, documents, changes, replica = (downstream.Rows() for _ in range(4))
    for tier, stack in zip(example.tiers, stacks, strict=True):
        if "derive" in tier.functions:
            rows |= downstream.rows(aws.client("dynamodb"), f"{tier.stack}-DerivedTable")
        if "archive" in tier.functions and example.archived:
            bucket = stack.spec("archive").environment["ARCHIVE_BUCKET"]
            changes |= downstream.changes(aws.client("s3"), bucket, example.names[0], example.archived)
        if "replicate" in tier.functions:
            replica |= _replica(example, aws, stack.spec("replicate").environment)
    for index in example.indexes:
        documents |= downstream.documents(endpoints.opensearch, index, example.document_name)
    return Downstream(rows, documents, bus.messages(), changes, replica)


def _replica(example: Example, aws: Aws, settings: Mapping[str, str]) -> downstream.Rows:
    keys = [str(each["AttributeName"]) for each in example.tables[0]["KeySchema"]]
    return downstream.replica(aws.client("dynamodb", settings["REPLICA_REGION"]), settings["REPLICA_TABLE"], keys)


def _derived_stream(client: Any, stack: str) -> str:
    return str(client.describe_table(TableName=f"{stack}-DerivedTable")["Table"]["LatestStreamArn"])


def _drain(mappings: Mapping[str, Delivering]) -> None:
    asked = time.monotonic()
    while not all(mapping.drained(asked) for mapping in mappings.values()):
        if time.monotonic() > asked + DRAIN_SECONDS:
            raise LocalError(f"not drained after {DRAIN_SECONDS:.0f} s: see the functions' logs")
        time.sleep(0.1)


def main(arguments: Sequence[str]) -> int:
    """Runs the named example, and shows what is downstream. Exit status: 0 all equal, 1 a difference, 2 it could not
    be run."""
    console = Console(width=max(180, Console().width))
    try:
        example = named(arguments[0] if arguments else "")
        with embedded() as endpoints:
            result = run(example, endpoints, ROOT / ".build/examples", console)
    except LocalError as error:
        print(error, file=sys.stderr)
        return 2
    result.made.show(console)
    compared = (f"{len(things)} {kind}" for kind, things in result.made.kinds().items() if things)
    console.print(f"{', '.join(compared)} compared")
    for line in result.wrong[:LISTED]:
        console.print(line, style="bold red", markup=False, soft_wrap=True)
    console.print(f"{len(result.wrong)} differences" if result.wrong else "0 differences")
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
