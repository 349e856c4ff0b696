"""Commands for the branches of a stack's trunk: which are called, and what was deferred."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cli.deployed import placed, reported
from cli.errors import UsageFault
from cli.options import Declared, Json, Parameters, SourceTable, StackEndpoint, StackName, StackRegion
from cli.stack import TRUNK, Stack
from cli.target import HERE, Where, stack_of
from distributary.errors import ConfigError
from distributary.feed.redrive import UNREADABLE, Result
from distributary.readers.parked import BRANCHES, Bucket, Place
from distributary.trunk.breaker import Breakers, State
from distributary.trunk.deferred import Store, entry_again

LONG_SECONDS = 900
"""What is deferred for longer needs attention: it raises an alarm as well."""

Branch = Annotated[str, typer.Argument(metavar="BRANCH", help=f"{', '.join(BRANCHES)}.")]


def pause(
    context: typer.Context,
    branch: Branch,
    stack: StackName = None,
    table: SourceTable = None,
    endpoint_url: StackEndpoint = None,
    region: StackRegion = None,
    parameter: Parameters = [],
    declared: Declared = [],
) -> int:
    """Defer a branch's changes, until it is resumed. The trunk carries on with its other branches."""
    found = stack_of(context, Where(stack, table, endpoint_url, region, parameter, declared))
    _breakers(found, branch).pause(branch)
    resumed = f"distributary resume {branch} {placed(stack, table)}"
    print(f"{branch} is paused: within 5 seconds its changes are deferred, until `{resumed}`")
    return 0


def resume(
    context: typer.Context,
    branch: Branch,
    stack: StackName = None,
    table: SourceTable = None,
    endpoint_url: StackEndpoint = None,
    region: StackRegion = None,
    parameter: Parameters = [],
    declared: Declared = [],
) -> int:
    """Call a paused branch again, and give it what was deferred meanwhile."""
    found = stack_of(context, Where(stack, table, endpoint_url, region, parameter, declared))
    breakers = _breakers(found, branch)
    if not breakers.resume(branch):
        print(f"{branch} was not paused: it is {breakers.read()[branch].state}")
        return 0
    changes, _ = _store(found).backlog(branch, datetime.now(UTC))
    print(f"{branch} is resumed: it gets its changes again, and {changes} that were deferred, from within a minute on")
    return 0


def deferred(
    context: typer.Context,
    stack: StackName = None,
    table: SourceTable = None,
    endpoint_url: StackEndpoint = None,
    region: StackRegion = None,
    json: Json = None,
    parameter: Parameters = [],
    declared: Declared = [],
) -> int:
    """Show which branches of the trunk are called, and what is deferred of them."""
    found = rows(stack_of(context, Where(stack, table, endpoint_url, region, parameter, declared)))
    lines = [
        f"{row['branch']:<10} {row['state']:<8} {row['since'] or '-':<26} {row['deferred']:>9} deferred"
        + (f", the oldest {row['oldest']} s old" if row["deferred"] else "")
        for row in found
    ]
    attention = any(row["oldest"] > LONG_SECONDS or row["state"] != State.CLOSED for row in found)
    return reported({"branches": found}, lines or ["the stack has no trunk"], json, int(attention))


def rows(stack: Stack, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> list[dict[str, Any]]:
    """Of each branch of the trunk: `branch`, `state` and `since` of its breaker, how many changes are `deferred`, and
    for how many seconds the `oldest` of them has been made. A branch that left the trunk is listed while something of
    it is deferred. None if the stack has no trunk. Raises Unavailable, ConfigError and botocore's errors."""
    if "BreakerTableName" not in stack.outputs:
        return []
    carried, at = _carried(stack), now()
    known, found = (
        Breakers(stack.clients("dynamodb"), stack.output("BreakerTableName"), BRANCHES).read(),
        list[dict[str, Any]](),
    )
    for branch in BRANCHES:
        deferred, oldest = _store(stack).backlog(branch, at)
        if branch in carried or deferred:
            row = known[branch]
            since = datetime.fromtimestamp(row.since, UTC).isoformat(timespec="seconds") if row.since else ""
            breaker = {"branch": branch, "state": row.state.value, "since": since}
            found.append({**breaker, "deferred": deferred, "oldest": round(oldest)})
    return found


def deferred_again(stack: Stack, bucket: Bucket, places: Sequence[Place], result: Result) -> None:
    """Defers batches that Lambda gave up of the trunk to each of its branches, and removes them: which of these had
    taken them already is not known, and a branch takes a change twice. Adds to `result`. Raises Unavailable if S3 does
    not take one."""
    trunk = stack.trunk
    for place in places if trunk is not None else ():
        changes = list(bucket.changes(place, [TRUNK]))
        readable = [change for change in changes if change.readable]
        for branch in trunk.carries if trunk is not None and readable else ():
            _store(stack).put(branch, [entry_again(branch, change) for change in readable])
        if len(readable) == len(changes):
            bucket.remove(place)
        result.done += len(readable)
        result.left.update((TRUNK, UNREADABLE) for _ in changes[len(readable) :])


def _breakers(stack: Stack, branch: str) -> Breakers:
    if branch not in BRANCHES:
        raise UsageFault(f"there is no branch '{branch}': give one of {', '.join(BRANCHES)}")
    if branch not in _carried(stack):
        raise ConfigError(
            f"{branch} of stack '{stack.name}' is not in a trunk, so nothing defers its changes: give its stream as "
            "TrunkSourceArn too, or disable its event source mapping for less than 20 hours"
        )
    return Breakers(stack.clients("dynamodb"), stack.output("BreakerTableName"), (branch,))


def _carried(stack: Stack) -> tuple[str, ...]:
    if stack.name == HERE:
        return BRANCHES
    return stack.trunk.carries if stack.trunk is not None else ()


def _store(stack: Stack) -> Store:
    return Store(stack.clients("s3"), stack.output("DeferredBucketName"))
