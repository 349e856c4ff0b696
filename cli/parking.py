"""Commands for what functions parked, and for batches that Lambda gave up."""

import json as text
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Annotated, Any

import typer

from cli.deployed import reported
from cli.errors import UsageFault
from cli.feed.on_aws import CONCURRENCY, RUN, check_name, check_place, machine_of, name_of
from cli.item_key import check_key
from cli.options import (
    Concurrency,
    Declared,
    DryRun,
    Json,
    OnAws,
    Parameters,
    RunName,
    SourceTable,
    StackEndpoint,
    StackName,
    StackRegion,
    key_of,
)
from cli.stack import TRUNK, Function, Stack
from cli.target import Where, stack_of
from cli.trunk import deferred_again
from distributary.dynamodb.read_budget import Pace
from distributary.feed.invoke import Feed
from distributary.feed.redrive import Redrive, Result
from distributary.feed.task import Task
from distributary.readers import given_up
from distributary.readers.parked import BRANCHES, RECONCILED, Bucket, Parked, Place
from distributary.stream.keys import identity, table_of
from distributary.verify.progress import progress
from distributary.verify.report import printable

app = typer.Typer(help="List, show, redrive and delete what could not be processed.", no_args_is_help=True)

Branches = Annotated[list[str], typer.Option("--branch", metavar="NAME", help="Only this function; may be repeated.")]
Cause = Annotated[str, typer.Option(help="Only changes whose cause contains this text.")]
Key = Annotated[str | None, typer.Option(metavar="JSON", help="""Only of this item: '{"user_id": {"S": "u-1"}}'.""")]
Since = Annotated[float | None, typer.Option(min=0, metavar="HOURS", help="Only what was parked in the last hours.")]


class Chosen:
    """The changes that the options choose."""

    def __init__(self, stack: Stack, branches: list[str], cause: str, key: str | None, since: float | None) -> None:
        if unknown := sorted(set(branches) - {*BRANCHES, TRUNK}):
            raise UsageFault(f"--branch {unknown[0]}: give {', '.join((*BRANCHES, TRUNK))}")
        functions = {**stack.functions, **({TRUNK: stack.trunk} if stack.trunk else {})}
        self.bucket = Bucket(stack.clients("s3"), stack.output("ParkingBucketName"), functions)
        self._branches, self._cause = branches or [*BRANCHES, TRUNK], cause
        self._item = key and identity(key_of(key))
        if key:
            check_key(stack.clients("dynamodb"), _tables(stack, self._branches), key_of(key))
        self._since = datetime.now(UTC) - timedelta(hours=since) if since is not None else None

    def __iter__(self) -> Iterator[Parked]:
        for change in self.bucket.read(self._branches, self._since):
            if self._cause in change.cause and self._item in (None, change.item):
                yield change


def _tables(stack: Stack, branches: list[str]) -> list[str]:
    """Those that the functions read."""
    own = [function for branch, function in stack.functions.items() if branch in branches]
    return list(dict.fromkeys(table_of(stream) for function in own for stream in function.streams))


def _feed(function: Function, table: str) -> Feed:
    return Feed(function.invoke, table=function.named(table))


@app.command("list")
def listed(
    context: typer.Context,
    stack: StackName = None,
    table: SourceTable = None,
    branch: Branches = [],
    cause: Cause = "",
    key: Key = None,
    since: Since = None,
    endpoint_url: StackEndpoint = None,
    region: StackRegion = None,
    json: Json = None,
    parameter: Parameters = [],
    declared: Declared = [],
) -> int:
    """Count what is parked, by branch and cause."""
    groups: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    found = stack_of(context, Where(stack, table, endpoint_url, region, parameter, declared))
    for change in Chosen(found, branch, cause, key, since):
        groups[change.branch, change.cause].append(change.place.when)
    largest = sorted(groups.items(), key=lambda group: -len(group[1]))
    rows = [
        {"branch": b, "cause": c, "changes": len(times), "first": _at(min(times)), "last": _at(max(times))}
        for (b, c), times in largest
    ]
    lines = [
        f"{row['changes']:>7}  {row['branch']:<10} {row['first']} to {row['last']}  {printable(str(row['cause']))}"
        for row in rows
    ]
    return reported({"parked": rows}, lines or ["nothing is parked"], json, 0)


@app.command()
def show(
    context: typer.Context,
    stack: StackName = None,
    table: SourceTable = None,
    branch: Branches = [],
    cause: Cause = "",
    key: Key = None,
    since: Since = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 10,
    endpoint_url: StackEndpoint = None,
    region: StackRegion = None,
    parameter: Parameters = [],
    declared: Declared = [],
) -> int:
    """Print parked changes whole, one JSON object a line."""
    found = stack_of(context, Where(stack, table, endpoint_url, region, parameter, declared))
    for number, change in enumerate(Chosen(found, branch, cause, key, since)):
        if number == limit:
            break
        print(text.dumps(_shown(change), ensure_ascii=True))
    return 0


@app.command()
def redrive(
    context: typer.Context,
    stack: StackName = None,
    table: SourceTable = None,
    branch: Branches = [],
    cause: Cause = "",
    key: Key = None,
    since: Since = None,
    rate: Annotated[float, typer.Option(min=0.1, help="Changes a second.")] = 200.0,
    even_if_old: Annotated[
        bool, typer.Option("--even-if-old", help="Of welcome: send what is older than its rule allows.")
    ] = False,
    on_aws: OnAws = False,
    run: RunName = RUN,
    concurrency: Concurrency = CONCURRENCY,
    dry_run: DryRun = False,
    endpoint_url: StackEndpoint = None,
    region: StackRegion = None,
    json: Json = None,
    parameter: Parameters = [],
    declared: Declared = [],
) -> int:
    """Give parked changes to their functions again.

    derive, index and replicate read each item as it is now, and set it right. welcome and archive take the record
    itself: a message is sent under its claim, and not if its rule says that it is too old. What Lambda gave up of the
    trunk is deferred to each of its branches, which get it within a minute, whichever of them is redriven.
    """
    if on_aws:
        _check_on_aws(branch, key, since, even_if_old, run)
    check_place(on_aws, stack, run, concurrency)
    found = stack_of(context, Where(stack, table, endpoint_url, region, parameter, declared))
    chosen = Chosen(found, with_trunk(found, branch), cause, key, since)
    if dry_run:
        many = sum(1 for _ in chosen)
        print(f"{many} changes would be redriven")
        return 0
    if on_aws:
        task = Task(function=branch[0], parked=True, cause=cause, rate=rate / concurrency)
        return _redriven_on_aws(found, chosen, task, (run, concurrency), json)
    with progress({"changes": 0}, command="redrive") as told:
        result = redriven(found, chosen, partial(told, "changes"), rate, even_if_old)
    if result.unclaimed:
        print(
            f"{result.unclaimed} of welcome were made longer ago than claims of rules that send again are kept "
            "(ClaimDays), so it cannot be excluded that one of these messages was sent twice",
            file=sys.stderr,
        )
    return reported(result.as_json(), _lines(result), json, 1 if result.left else 0)


def redriven(
    stack: Stack, chosen: Chosen, told: Callable[[int, str], None], rate: float, even_if_old: bool = False
) -> Result:
    """Gives the changes to their functions again, so many a second; `told` gets how many were dealt with, and why some
    are left. Raises as `Redrive.run`."""
    steps = Redrive(
        chosen.bucket,
        lambda name, table: _feed(stack.function(name), table),
        lambda: datetime.now(UTC),
        lambda: stack.claim_days,
        told,
        Pace(rate).take,
        even_if_old,
    )
    of_trunk: dict[Place, None] = {}
    result = steps.run(_apart(chosen, of_trunk))
    deferred_again(stack, chosen.bucket, list(of_trunk), result)
    return result


def with_trunk(stack: Stack, branches: list[str]) -> list[str]:
    """And the trunk, if it carries one of them: what Lambda gave up of it is theirs, too."""
    carried = stack.trunk.carries if stack.trunk is not None else ()
    return list(dict.fromkeys([*branches, TRUNK])) if set(branches) & set(carried) else branches


def _apart(chosen: Iterable[Parked], of_trunk: dict[Place, None]) -> Iterator[Parked]:
    """The changes of branches. Objects of the trunk are put into `of_trunk` meanwhile."""
    for change in chosen:
        if change.branch == TRUNK:
            of_trunk[change.place] = None
        else:
            yield change


def _lines(result: Result) -> list[str]:
    lines = [f"left: {many} of {name}: {printable(why)}" for (name, why), many in result.left.most_common()]
    return [*lines, f"{result.done} redriven, {result.left.total()} left"]


def _check_on_aws(branches: list[str], key: str | None, since: float | None, even_if_old: bool, run: str) -> None:
    """Raises UsageFault for what the state machine does not do."""
    check_name(run)
    if len(branches) != 1 or branches[0] not in RECONCILED:
        raise UsageFault(f"--on-aws: give one --branch: {', '.join(RECONCILED)}; redrive the others without --on-aws")
    for option, given in (("--key", key), ("--since", since is not None), ("--even-if-old", even_if_old)):
        if given:
            raise UsageFault(f"{option}: leave it out, or --on-aws; a run on AWS redrives what is parked by --cause")


def _redriven_on_aws(stack: Stack, chosen: Chosen, task: Task, run: tuple[str, int], json: str | None) -> int:
    """`run`: its name, and how many parts at once. What Lambda gave up of the trunk is deferred before: a run on AWS
    reads what is the branch's own alone."""
    result, (name, at_once) = Result(), run
    with progress({"parts": 0}, command="redrive") as told:
        machine = machine_of(stack, lambda n: told("parts", n))
        of_trunk = dict.fromkeys(change.place for change in chosen if change.branch == TRUNK)
        deferred_again(stack, chosen.bucket, list(of_trunk), result)
        found = machine.run(name_of(task, name), task, {"concurrency": at_once, "tolerated": 0})
    result.done += found.items - found.left
    result.left.update({(task.function, end.cause): many for end, many in found.ends.items() if not end.done})
    return reported(result.as_json(), _lines(result), json, 1 if result.left else 0)


@app.command()
def delete(
    context: typer.Context,
    stack: StackName = None,
    table: SourceTable = None,
    branch: Branches = [],
    cause: Cause = "",
    key: Key = None,
    since: Since = None,
    dry_run: DryRun = False,
    endpoint_url: StackEndpoint = None,
    region: StackRegion = None,
    parameter: Parameters = [],
    declared: Declared = [],
) -> int:
    """Remove parked changes that need no redrive. What they changed is then in no branch: `distributary verify`."""
    if not (branch or cause or key):
        raise UsageFault("say what to delete: give --branch, --cause or --key")
    found = stack_of(context, Where(stack, table, endpoint_url, region, parameter, declared))
    chosen = Chosen(found, branch, cause, key, since)
    many = deleted(chosen.bucket, chosen, dry_run)
    print(f"{many} {'would be ' if dry_run else ''}deleted; batches that Lambda gave up are left to their lifecycle")
    return 0


def deleted(bucket: Bucket, chosen: Iterable[Parked], dry_run: bool = False) -> int:
    """Removes what functions parked, and leaves batches that Lambda gave up; how many it were."""
    own = {change.place for change in chosen if not change.place.name.startswith(given_up.PREFIX)}
    for place in () if dry_run else own:
        bucket.remove(place)
    return len(own)


def _at(time: datetime) -> str:
    return time.astimezone(UTC).strftime("%Y-%m-%d %H:%M")


def _shown(change: Parked) -> dict[str, Any]:
    return {
        "branch": change.branch,
        "object": change.place.name,
        "parked": _at(change.place.when),
        "cause": change.cause,
        "detail": change.detail,
        "table": change.table,
        "key": change.key,
        "version": change.version,
        "expired": change.expired,
        "record": change.record,
    }
