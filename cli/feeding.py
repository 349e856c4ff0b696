"""Commands that give a deployed function what its source table holds."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from cli.archive import moment
from cli.deployed import reported
from cli.errors import UsageFault
from cli.feed.backfill import Backfill, Part, Result, State
from cli.feed.new_views import NewViews, views_of
from cli.feed.on_aws import CONCURRENCY, RUN, check_name, check_place, machine_of, name_of, new_export
from cli.options import (
    Concurrency,
    Declared,
    DryRun,
    Json,
    OnAws,
    Only,
    Parameters,
    RunName,
    Segments,
    StackEndpoint,
    StackName,
    StackRegion,
    StateFile,
    Tables,
    check_segments,
    table_names,
)
from cli.stack import Function, Stack
from cli.target import HERE, Where, stack_of
from distributary.dynamodb.key_schema import key_names
from distributary.dynamodb.read_budget import Pace
from distributary.feed.give import Giver
from distributary.feed.invoke import Feed
from distributary.feed.part import MOST_PARTS
from distributary.feed.snapshot import Table as Scanned
from distributary.feed.sources import Scan
from distributary.feed.task import Task
from distributary.readers.parked import BRANCHES, RECONCILED
from distributary.stream.keys import table_arn_of, table_of
from distributary.verify.progress import progress
from distributary.verify.report import printable

_WRONG = {
    "welcome": "give derive, index or replicate; an old item is no reason to send a message",
    "archive": "give derive, index or replicate: an archive holds changes, not items",
}
_UNKNOWN = f"there is no such function; there are {', '.join(BRANCHES)}"

Branch = Annotated[str, typer.Option("--function", help="derive, index or replicate.")]


def backfill(
    context: typer.Context,
    table: Tables,
    function: Branch,
    stack: StackName = None,
    only: Only = [],
    first_fill: Annotated[
        bool,
        typer.Option(
            "--first-fill",
            help="Nothing was ever kept for another declaration: give whole items, which cost less than reads by key.",
        ),
    ] = False,
    segments: Segments = 4,
    rate: Annotated[float, typer.Option(min=0.1, help="Items a second.")] = 1000.0,
    state: StateFile = None,
    on_aws: OnAws = False,
    run: RunName = RUN,
    concurrency: Concurrency = CONCURRENCY,
    tolerate: Annotated[
        float, typer.Option(min=0, max=100, metavar="PERCENT", help="On AWS: parts that may fail while others go on.")
    ] = 0.0,
    export: Annotated[
        str, typer.Option(metavar="PLACE", help="On AWS: read this export, s3://BUCKET/PREFIX, or make a `new` one.")
    ] = "",
    archive: Annotated[
        str, typer.Option(metavar="PLACE", help="On AWS: the items that changed in this archive, s3://BUCKET.")
    ] = "",
    begin: Annotated[str, typer.Option("--from", metavar="TIME", help="Of the archive, ISO 8601.")] = "",
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="Of the archive: the first moment after.")] = "",
    dry_run: DryRun = False,
    endpoint_url: StackEndpoint = None,
    region: StackRegion = None,
    json: Json = None,
    parameter: Parameters = [],
    declared: Declared = [],
) -> int:
    """Give a function every item that its table holds, while the stream runs."""
    if function not in RECONCILED:
        raise UsageFault(f"--function {function}: {_WRONG.get(function, _UNKNOWN)}")
    if function == "replicate" and only:
        raise UsageFault("--function replicate: it keeps one replica; leave out --view and --index")
    if first_fill and only:
        raise UsageFault("--first-fill fills a whole branch: leave out --view and --index, or leave out --first-fill")
    aws = _OnAws(run, concurrency, tolerate, export, archive, begin, end)
    if on_aws:
        aws.check(segments, first_fill, state)
    else:
        check_segments(segments)
    names = table_names(table)
    if on_aws and len(names) > 1:
        raise UsageFault(f"--on-aws: give one table at a time, such as {names[0]}")
    check_place(on_aws, stack, run, concurrency, aws.own)
    found = stack_of(context, Where(stack, table, endpoint_url, region, parameter, declared))
    target = found.function(function)
    views = views_of(target, names, only)
    if found.name == HERE:  # where all tables are named, because the function reads them
        names = [name for name in names if name in views]
    sources = [source_of(found.clients("dynamodb"), name, target) for name in names]
    if dry_run:
        for source, many, size in sources:
            units = f"{size / 4096:,.0f} read units for the scan, and what {function} reads"
            print(f"about {many:,} items of {source.table.name}: {units}")
        return 0
    new = NewViews.of(target, [source.table.name for source, _, _ in sources], only)
    if on_aws:
        return aws.run(found, sources[0][0], target, tuple(only), first_fill, segments, rate, json, new)
    task = {"table": table, "function": target.arn, "segments": segments}
    kept, pace, result = State(state, {**task, "first_fill": first_fill, "only": sorted(only)}), Pace(rate), Result()
    whole = kept.is_about(new.digest())
    with progress({"items": sum(many for _, many, _ in sources)}, command="backfill") as told:
        for source, _, _ in sources:
            steps = Backfill(
                source,
                Giver(
                    Feed(target.invoke, table=target.named(source.table.name)),
                    source.table,
                    views.get(source.table.name, tuple(only)),
                ),
                Part(kept, source.table.name) if len(sources) > 1 else kept,
                first_fill,
                partial(told, "items"),
                pace.take,
            )
            result.merge(steps.run(segments))
            if any(end.status == "Failed" for end in result.ends):
                break
    if whole and not result.left:
        new.record()
    return reported(result.as_json(), _lines(result), json, 1 if result.left else 0)


@dataclass(frozen=True, slots=True)
class _OnAws:
    """The options of a run on AWS."""

    name: str
    concurrency: int
    tolerate: float
    export: str
    archive: str
    begin: str
    end: str

    @property
    def own(self) -> dict[str, object]:
        """Those that only a backfill has."""
        read = {"--export": self.export, "--archive": self.archive, "--from": self.begin, "--to": self.end}
        return {"--tolerate": self.tolerate, **read}

    def check(self, segments: int, first_fill: bool, state: Path | None) -> None:
        """Raises UsageFault."""
        if state is not None:
            raise UsageFault("--state: a run on AWS remembers how far it is by itself; leave it out, or --on-aws")
        check_name(self.name)
        if not 1 <= segments <= MOST_PARTS:
            raise UsageFault(f"--segments: give 1 to {MOST_PARTS}")
        if self.export and self.archive:
            raise UsageFault("--export and --archive exclude each other: give one of them")
        if self.archive and first_fill:
            raise UsageFault("--archive holds changes, not items: leave out --first-fill")
        if (self.begin or self.end) and not self.archive:
            raise UsageFault("--from and --to are moments of an archive: give --archive")
        for option, given in (("--export", self.export), ("--archive", self.archive)):
            if given not in ("", "new") and not given.startswith("s3://"):
                raise UsageFault(f"{option} {given}: give s3://BUCKET/PREFIX")

    @property
    def _whole(self) -> bool:
        """Whether all that the table holds by now is given: an export that was made before may lack something."""
        return not self.archive and self.export in ("", "new")

    def run(
        self,
        stack: Stack,
        source: Scan,
        target: Function,
        only: tuple[str, ...],
        first_fill: bool,
        segments: int,
        rate: float,
        json: str | None,
        new: NewViews,
    ) -> int:
        """Starts the state machine or goes on with it, and follows it; the exit status."""
        at_once = self.concurrency if self.export or self.archive else min(self.concurrency, segments)
        task = Task(
            function=target.branch,
            table=table_of(source.table.stream_arn),
            keys=source.table.keys,
            only=tuple(sorted(only)),
            first_fill=first_fill,
            segments=segments,
            rate=rate / at_once,
            export="" if self.export == "new" else self.export,
            archive=self.archive,
            begin=moment("--from", self.begin) if self.begin else None,
            end=moment("--to", self.end) if self.end else None,
            new=new.digest() if self._whole else "",
        )
        asked: dict[str, Any] = {"concurrency": at_once, "tolerated": self.tolerate}
        if self.export == "new":
            table = table_arn_of(source.table.stream_arn)
            task, more = new_export(task, stack.output("ParkingBucketName"), table, self.name)
            asked |= more
        parts = 0 if self.export or self.archive else segments
        with progress({"parts": parts}, command="backfill") as told:
            machine = machine_of(stack, lambda n: told("parts", n))
            results = machine.run(name_of(task, self.name), task, asked)
        if self._whole and not (results.left or results.failed):
            new.record()
        lines = _lines(results)
        if results.failed:
            lines.append(f"{len(results.failed)} parts failed: {printable(results.cause)}; run this again")
        return reported(results.as_json(), lines, json, 1 if results.left or results.failed else 0)


def source_of(dynamodb: Any, table: str, function: Function) -> tuple[Scan, int, int]:
    """The table, about how many items it has, and how many bytes. Raises UsageFault if the function reads another."""
    keys = key_names(dynamodb, table)
    described = dynamodb.describe_table(TableName=table)["Table"]
    own = function.sources
    if own and described["TableName"] not in own:
        raise UsageFault(f"{function.branch} of this stack reads table '{', '.join(own)}', not '{table}'")
    arn = own[described["TableName"]] if own else described.get("LatestStreamArn", "")
    region = arn.split(":")[3] if arn else ""
    return Scan(dynamodb, Scanned(table, keys, arn, region)), described["ItemCount"], described["TableSizeBytes"]


def _lines(result: Result) -> list[str]:
    lines = [f"{many:>9,}  {end.status:<11} {printable(end.cause)}".rstrip() for end, many in result.ends.most_common()]
    return [*lines, f"{result.items:,} items, {result.left:,} left"]
