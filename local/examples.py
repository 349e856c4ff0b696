"""Runs an example: its writer on embedded services, the functions on its table, and a comparison of all they keep."""

import importlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from local import downstream
from local.attach_report import counts, went_wrong
from local.aws import Aws
from local.downstream import Bus, Downstream
from local.emulators import Endpoints, embedded
from local.errors import LocalError
from local.esm.mapping import EventSourceMapping
from local.function_logs import LogFiles
from local.stack import Project, Stack

ROOT = Path(__file__).resolve().parents[1]
EXAMPLES = ROOT / "examples"
REGION = "us-east-1"
CALLS = 400
DRAIN_SECONDS = 120.0
LISTED = 20


@dataclass(frozen=True, slots=True)
class Tier:
    """A stack: by function, the folder of its declarations. It reads the example's table, or the derived table of the
    stack that `over` names."""

    stack: str
    declared: Mapping[str, Path]
    over: str = ""


@dataclass(frozen=True, slots=True)
class Example:
    """`table`: arguments of CreateTable. `write(client, calls)` runs the writer, and returns its journal.
    `expected(items, journal)` computes what should be downstream, from the table's items in DynamoDB JSON, without the
    functions' declarations. `document_name`: the fields that name a document. Each tier comes after the one that it
    reads."""

    table: Mapping[str, Any]
    tiers: tuple[Tier, ...]
    write: Callable[[Any, int], Any]
    expected: Callable[[Sequence[dict[str, Any]], Any], Downstream]
    indexes: tuple[str, ...] = ()
    document_name: tuple[str, ...] = ()


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
    table = client.create_table(**example.table)["TableDescription"]
    common = {
        "OpenSearchEndpoint": endpoints.opensearch,
        "OpenSearchService": "none",
        "WelcomeEventBus": bus.name,
        "DerivedTableStream": "true",
    }
    wrong = []
    with ExitStack() as held:
        attached = []
        for tier in example.tiers:
            project = Project(ROOT, artifacts, tier.declared, tier.stack)
            stack = held.enter_context(Stack(project, aws, common, LogFiles(artifacts / "logs" / tier.stack)))
            stream = _derived_stream(client, tier.over) if tier.over else table["LatestStreamArn"]
            attached.append((stack, _attached(stack, stream, tuple(tier.declared))))
        journal = example.write(client, calls)
        for _, mappings in attached:
            _drain(mappings)
        for stack, mappings in attached:
            console.print(counts(stack, mappings))
            names = [name for name, each in mappings.items() if went_wrong(stack, name, each)]
            wrong += [f"{name} parked, failed or gave up a change: see {artifacts}/logs" for name in names]
    made = _made(example, client, endpoints, bus)
    expected = example.expected(list(downstream.scanned(client, example.table["TableName"])), journal)
    return Result(made, [*wrong, *expected.differences(made)])


def _attached(stack: Stack, stream: str, functions: Sequence[str]) -> dict[str, EventSourceMapping]:
    stack.prepare(functions)
    if "index" in functions:
        stack.apply_index()
    return stack.attach(stream, functions)


def _made(example: Example, client: Any, endpoints: Endpoints, bus: Bus) -> Downstream:
    rows, documents = downstream.Rows(), downstream.Rows()
    for tier in example.tiers:
        if "derive" in tier.declared:
            rows |= downstream.rows(client, f"{tier.stack}-DerivedTable")
    for index in example.indexes:
        documents |= downstream.documents(endpoints.opensearch, index, example.document_name)
    return Downstream(rows, documents, bus.messages())


def _derived_stream(client: Any, stack: str) -> str:
    return str(client.describe_table(TableName=f"{stack}-DerivedTable")["Table"]["LatestStreamArn"])


def _drain(mappings: Mapping[str, EventSourceMapping]) -> None:
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
    made = result.made
    console.print(f"{len(made.rows)} rows, {len(made.documents)} documents, {len(made.messages)} messages compared")
    for line in result.wrong[:LISTED]:
        console.print(line, style="bold red", markup=False, soft_wrap=True)
    console.print(f"{len(result.wrong)} differences" if result.wrong else "0 differences")
    return 1 if result.wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
