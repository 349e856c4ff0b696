"""Commands that bring a deployed function's sink to what is declared now, and remove what nothing declares any more."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.deployed import reported
from cli.errors import UsageFault
from cli.feed.backfill import Backfill, Part, Result, State
from cli.feed.deployment import version_of, wait_for_others
from cli.feed.on_aws import CONCURRENCY, RUN, check_name, check_place, machine_of, name_of
from cli.feed.sweep import Sweeping, Swept
from cli.feeding import source_of
from cli.options import (
    Concurrency,
    Declared,
    Json,
    OnAws,
    Only,
    Parameters,
    RunName,
    Segments,
    SourceTable,
    StackEndpoint,
    StackName,
    StackRegion,
    StateFile,
    check_segments,
)
from cli.stack import Function, Stack
from cli.target import Where, stack_of
from distributary.dynamodb.read_budget import Pace
from distributary.feed.give import Giver
from distributary.feed.invoke import Feed
from distributary.feed.sources import Scan
from distributary.feed.task import Task
from distributary.verify.progress import Progress, ProgressWithCause, progress
from distributary.verify.report import printable

REBUILT = ("derive", "index")
"""Functions whose sinks are rebuilt; a replica is set right by its verification."""

ANOTHER_RUN = "give the command another --run"
"""This one has succeeded: it would be passed over."""

Rate = Annotated[float, typer.Option(min=0.1, help="Items or rows a second.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Count what would be removed, and change nothing.")]


def rebuild(
    context: typer.Context,
    function: Annotated[str, typer.Argument(metavar="FUNCTION", help="derive or index.")],
    stack: StackName = None,
    table: SourceTable = None,
    only: Only = [],
    segments: Segments = 4,
    rate: Rate = 1000.0,
    state: StateFile = None,
    on_aws: OnAws = False,
    name: RunName = RUN,
    concurrency: Concurrency = CONCURRENCY,
    dry_run: DryRun = False,
    endpoint_url: StackEndpoint = None,
    region: StackRegion = None,
    json: Json = None,
    parameter: Parameters = [],
    declared: Declared = [],
) -> int:
    """Bring everything that a function keeps to the deployed declarations, while the stream runs.

    Every item is set right, and what no item explains is removed.
    """
    if function not in REBUILT:
        raise UsageFault(f"rebuild {function}: give derive or index")
    if on_aws and state is not None:
        raise UsageFault("--state: a run on AWS remembers how far it is by itself; leave it out, or --on-aws")
    check_name(name)
    check_place(on_aws, stack, name, concurrency)
    check_segments(segments)
    found = stack_of(context, Where(stack, table, endpoint_url, region, parameter, declared))
    target = found.function(function)
    told = Feed(target.invoke).ask({"declarations": {}}, "declarations")
    _check(only, told)
    run = _Run(target, tuple(only), segments, rate, told)
    if dry_run:
        return run.counted(json)
    if on_aws:
        return run.rebuilt_on_aws(found, name, min(concurrency, segments), json)
    return run.rebuilt(state, json)


def retire(
    context: typer.Context,
    view: Annotated[str, typer.Argument(metavar="VIEW", help="A view that is declared no more.")],
    stack: StackName = None,
    table: SourceTable = None,
    segments: Segments = 4,
    rate: Rate = 1000.0,
    state: StateFile = None,
    dry_run: DryRun = False,
    endpoint_url: StackEndpoint = None,
    region: StackRegion = None,
    json: Json = None,
    parameter: Parameters = [],
    declared: Declared = [],
) -> int:
    """Remove what a view has left behind that is declared no more: rows, groups, members, ledger rows.

    Deploy the declarations without it first. An index is removed by deleting it in OpenSearch.
    """
    check_segments(segments)
    where = Where(stack, table, endpoint_url, region, parameter, declared)
    target = stack_of(context, where).function("derive")
    told = Feed(target.invoke).ask({"declarations": {}}, "declarations")
    if view in told["declared"]:
        raise UsageFault(f"view '{view}' is declared: remove it from views.py and deploy, then run this again")
    if view not in told["written"]:
        raise UsageFault(f"no view was ever called '{view}' here: known are {_names(told['written'])}")
    run = _Run(target, (view,), segments, rate, told)
    if dry_run:
        return run.counted(json)
    return run.retired(view, state, json)


def _check(only: Sequence[str], told: Mapping[str, Any]) -> None:
    for name in only:
        if name not in told["declared"]:
            hint = f": `distributary retire {name}` removes it" if name in told["written"] else ""
            raise UsageFault(f"--view {name}: declared are {_names(told['declared'])}{hint}")


def _names(named: Mapping[str, Any]) -> str:
    return ", ".join(sorted(named)) or "none"


@dataclass(frozen=True)
class _Run:
    """`told`: what the function answered when the command began."""

    target: Function
    only: tuple[str, ...]
    segments: int
    rate: float
    told: Mapping[str, Any]

    def counted(self, json: str | None) -> int:
        """A dry run."""
        swept = Swept()
        with progress(dict.fromkeys(("rows",), 0), command="rebuild") as told:
            self._sweep(State(None, {}), swept, told, dry_run=True)
        lines = [*_why(swept), f"{swept.read:,} rows: {swept.done:,} would be removed or corrected"]
        return reported({"swept": swept.as_json()}, lines, json, 0)

    def rebuilt(self, state: Path | None, json: str | None) -> int:
        """The rows that no item explains go first: some are under the keys of those that are to come."""
        version, kept = self._begun(state, "rebuild")
        dynamodb = self.target.clients("dynamodb")
        sources = [source_of(dynamodb, table, self.target) for table in self._tables()]
        swept, filled = Swept(), Result()
        with progress({"rows": 0, "items": sum(many for _, many, _ in sources)}, command="rebuild") as report_progress:
            self._sweep(kept, swept, report_progress)
            if +swept.left:
                return self._unfinished(swept, json)
            for source, _, _ in sources:
                self._fill(source, kept, filled, report_progress)
        return self._filled(version, swept, filled, json)

    def rebuilt_on_aws(self, stack: Stack, name: str, at_once: int, json: str | None) -> int:
        """The same, a run of the state machine for each part and one for the items. Each begins when the one before has
        succeeded; a command that is given again passes over those that have."""
        version = version_of(self.target)
        items = [self._items(table, at_once) for table in self._tables()]
        tasks = [*(replace(each, sweep=part) for each in items for part in self.told["parts"]), *items]
        swept, filled, asked = Swept(), Result(), {"concurrency": at_once, "tolerated": 0}
        with progress({"parts": len(tasks) * self.segments}, command="rebuild") as told:
            machine = machine_of(stack, lambda n: told("parts", n))
            if not machine.has_begun(name_of(tasks[0], f"{name}-v{version}")):
                wait_for_others(self.target)
            for each in tasks:
                found = machine.run(name_of(each, f"{name}-v{version}"), each, asked)
                swept.merge(found.swept)
                filled.merge(found)
                if +swept.left:
                    return self._unfinished(swept, json, ANOTHER_RUN)
        return self._filled(version, swept, filled, json, ANOTHER_RUN)

    def _items(self, table: str, at_once: int) -> Task:
        """Sets right the items of a table."""
        source, _, _ = source_of(self.target.clients("dynamodb"), table, self.target)
        return Task(
            function=self.target.branch,
            table=table,
            keys=source.table.keys,
            only=tuple(sorted(self._of(table))),
            segments=self.segments,
            rate=self.rate / at_once,
        )

    def _filled(
        self, version: str, swept: Swept, filled: Result, json: str | None, again: str = "run this again"
    ) -> int:
        """The end of a rebuild whose items were reconciled."""
        declared, written = self.told["declared"], self.told["written"]
        removed = [] if self.only else sorted(written.keys() - declared.keys())
        done = self._ended(version, swept, not filled.left, list(self.only) or sorted(declared), removed)
        report = {"swept": swept.as_json(), **filled.as_json(), "done": done}
        parked = sum(many for end, many in filled.ends.items() if end.status == "Parked")
        return reported(report, [*_ends(filled), *_summary(swept), _said(done, parked, again)], json, 0 if done else 1)

    def _tables(self) -> list[str]:
        """The source tables of the views that are meant. A function that reads one table has no others; its name may
        not be known."""
        own = list(self.target.sources) or [""]
        if len(own) == 1:
            return own
        of = {table for name in self.only or self.told["declared"] for table in self._tables_of(name)}
        return [table for table in own if "" in of or table in of]

    def _of(self, table: str) -> tuple[str, ...]:
        """What is meant of a table."""
        if not self.target.named(table):
            return self.only
        return tuple(name for name in self.only if self._tables_of(name) & {"", table})

    def _tables_of(self, view: str) -> set[str]:
        """Those that its entities name; an empty one if one names none, or if the view is declared no more."""
        found = self.told["declared"].get(view, {})
        return {str(found.get("of.table", "")), *([str(found.get("right.table", ""))] if "right" in found else [])}

    def _fill(self, source: Scan, state: State, into: Result, report_progress: ProgressWithCause) -> None:
        """Every item of a table set right."""
        name, table = "items", self.target.named(source.table.name)
        filling = Backfill(
            source,
            Giver(Feed(self.target.invoke, table=table), source.table, self._of(source.table.name)),
            Part(state, f"{name}/{table}" if table else name),
            told=partial(report_progress, "items"),
            wait=Pace(self.rate).take,
        )
        into.merge(filling.run(self.segments))

    def _unfinished(self, swept: Swept, json: str | None, again: str = "run this again") -> int:
        report = {"swept": swept.as_json(), "done": False}
        return reported(report, [*_summary(swept), _said(False, again=again)], json, 1)

    def retired(self, view: str, state: Path | None, json: str | None) -> int:
        """What the view's ledger rows say comes before what groups show of their members."""
        version, kept = self._begun(state, "retire")
        swept = Swept()
        with progress({"rows": 0}, command="retire") as told:
            self._sweep(kept, swept, told)
        done = self._ended(version, swept, True, [], [view])
        return reported(
            {"swept": swept.as_json(), "done": done}, [*_summary(swept), _said(done)], json, 0 if done else 1
        )

    def _begun(self, state: Path | None, command: str) -> tuple[str, State]:
        """The version that runs, and how far it is. A run that goes on waits for no other version a second time."""
        version = version_of(self.target)
        task = {"command": command, "function": self.target.arn, "version": version}
        kept = State(state, {**task, "segments": self.segments, "only": sorted(self.only)})
        if state is None or not state.exists():
            wait_for_others(self.target)
        return version, kept

    def _sweep(self, state: State, into: Swept, told: Progress, dry_run: bool = False) -> None:
        """Part after part: what a ledger row says of members is taken back before members without one go. So what is
        left of one part ends the run."""
        pace = Pace(self.rate)
        for source in self._tables():
            table = self.target.named(source)
            feed = Feed(self.target.invoke, table=table)
            sweeping = Sweeping(feed, self._of(source), dry_run, lambda n: told("rows", n), pace.take)
            for part in self.told["parts"]:
                sweeping.run(part, self.segments, Part(state, f"{part}/{table}" if table else part), into)
                if +into.left:
                    return

    def _ended(self, version: str, swept: Swept, right: bool, rebuilt: list[str], retired: list[str]) -> bool:
        """Whether all of it is done; then the function remembers it."""
        if version_of(self.target) != version:
            raise UsageFault(f"{self.target.branch} was deployed meanwhile: run this again, with another state file")
        if +swept.left or not right:
            return False
        done = {"rebuilt": rebuilt, "retired": retired, "declared": self.told["declared"]}
        Feed(self.target.invoke).ask({"declarations": done}, "declarations")
        return True


def _why(swept: Swept) -> list[str]:
    left = [f"left: {rows:,}: {printable(cause)}" for cause, rows in swept.left.most_common() if rows]
    return left + [f"untouched: {rows:,}: {printable(cause)}" for cause, rows in swept.untouched.most_common() if rows]


def _summary(swept: Swept) -> list[str]:
    return [*_why(swept), f"{swept.read:,} rows: {swept.done:,} removed or corrected, {swept.left.total():,} left"]


def _ends(filled: Result) -> list[str]:
    return [
        *(f"{n:>9,}  {end.status:<11} {printable(end.cause)}".rstrip() for end, n in filled.ends.most_common()),
        f"{filled.items:,} items, {filled.left:,} left",
    ]


def _said(done: bool, parked: int = 0, again: str = "run this again") -> str:
    if parked:
        return (
            f"not done: {parked:,} items are parked and not as declared: correct them or the declaration, then {again}"
        )
    return "done: all of it is as it is declared now" if done else f"not done: {again}"
