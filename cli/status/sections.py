"""The parts of the screen: each reads one thing of a deployed stack, and changes nothing."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any

from cli import trunk
from cli.data_streams import destination
from cli.errors import DeclarationFaults, UsageFault
from cli.stack import Function, Stack
from cli.status import metrics, parked
from cli.status.declared import declarations
from cli.status.metrics import Series, of_lambda, own
from cli.status.row import Row, attention, readable, well, worth_knowing
from distributary.consumer.outcome import Status
from distributary.consumer.streams import UNLISTED
from distributary.replicate.verify.drift import table_here
from distributary.stream.keys import table_arn_of, table_of
from distributary.stream.kinesis import data_stream_of
from distributary.trunk.breaker import State

RECENT = timedelta(minutes=15)
"""How far back the lag is looked for."""

DRIFT_HOURS = 26
"""How far back the last comparison is looked for: the schedule may be once a day."""

MOST_FAILED = 0.1
"""The share of changes that may fail, as the alarm has it."""

COUNTED = ("Received", *(each.value for each in Status))
NAMED = (UNLISTED, "Unknown", "Conflicts", "RebuildDue")
"""What a function counts beside outcomes, shown if there is any."""

_SETTLED = ("CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE")
_RESULTS = ("OK", "No records processed", "")


@dataclass
class Look:
    """One look at a stack. `project`: where its declarations are."""

    stack: Stack
    now: datetime
    project: Path
    _described: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def described(self) -> Mapping[str, Any]:
        """The stack, as CloudFormation has it."""
        (found,) = self.stack.clients("cloudformation").describe_stacks(StackName=self.stack.name)["Stacks"]
        return dict(found)

    @cached_property
    def hour(self) -> Mapping[metrics.Metric, Series]:
        """What all functions measured in the last hour."""
        return metrics.read(self.stack.clients("cloudwatch"), list(self._metrics()), self.now, 1)

    def _metrics(self) -> Iterator[metrics.Metric]:
        for branch, function in self.stack.functions.items():
            yield from (self.own(branch, name) for name in (*COUNTED, *NAMED))
            yield self.own(branch, "Lag", "Maximum")
            yield of_lambda(name_of(function), "IteratorAge", "Maximum")
            yield of_lambda(name_of(function), "Errors")
            yield of_lambda(name_of(function), "Throttles")

    def own(self, branch: str, name: str, stat: str = "Sum") -> metrics.Metric:
        """A metric that a function of this stack emits."""
        return own(self.stack.name, branch, name, stat)


def name_of(function: Function) -> str:
    """What CloudWatch calls it."""
    return function.arn.split(":")[6]


def rows(look: Look) -> list[Row]:
    """All of the screen, from top to bottom."""
    found = readable("stack", lambda: stack(look)) + readable("alarms", lambda: alarms(look))
    for section in (mappings, lag, outcomes, streams):
        for branch, function in look.stack.functions.items():
            check = f"{section.__name__} {branch}"
            found += readable(check, _of(section, look, check, function))
    if (reader := look.stack.trunk) is not None:
        found += readable("mappings trunk", _of(mappings, look, "mappings trunk", reader))
        found += readable("trunk", lambda: branches_of_trunk(look))
    found += readable("parked", lambda: parked.rows(look.stack))
    found += readable("drift", lambda: drift(look))
    return found + readable("declarations", lambda: declared(look))


def _of(section: Any, look: Look, check: str, function: Function) -> Callable[[], Iterator[Row]]:
    return lambda: section(look, check, function)


def stack(look: Look) -> Iterator[Row]:
    """How its last deployment ended, and its generation."""
    state = str(look.described["StackStatus"])
    given = {each["ParameterKey"]: each.get("ParameterValue", "") for each in look.described.get("Parameters", [])}
    generation = given.get("Generation", "not known")
    said = f"{look.stack.name}: {state}, generation {generation}"
    values = {"state": state, "generation": generation}
    if state in _SETTLED:
        yield well("stack", said, **values)
    elif state.endswith("_FAILED"):
        yield attention("stack", said, "read the stack's events, correct what failed, and deploy again", **values)
    else:
        yield worth_knowing("stack", said, "read the stack's events", **values)


def alarms(look: Look) -> Iterator[Row]:
    """Those that the stack has, by their own names: another stack's may begin with the same."""
    pages = look.stack.clients("cloudformation").get_paginator("list_stack_resources")
    resources = (each for page in pages.paginate(StackName=look.stack.name) for each in page["StackResourceSummaries"])
    names = [each["PhysicalResourceId"] for each in resources if each["ResourceType"] == "AWS::CloudWatch::Alarm"]
    found = [each for first in range(0, len(names), 100) for each in _alarms(look, names[first : first + 100])]
    for alarm in (each for each in found if each["StateValue"] == "ALARM"):
        what, _, page = str(alarm.get("AlarmDescription", "")).partition("; see ")
        yield attention("alarm", f"{alarm['AlarmName']}: {what}", f"see {page}", name=alarm["AlarmName"], page=page)
    if not any(each["StateValue"] == "ALARM" for each in found):
        quiet = sum(each["StateValue"] != "OK" for each in found)
        more = f", {quiet} without data yet" if quiet else ""
        yield well("alarms", f"none of {len(found)} is in alarm{more}", alarms=len(found), without_data=quiet)


def _alarms(look: Look, names: list[str]) -> list[Any]:
    found = look.stack.clients("cloudwatch").describe_alarms(AlarmNames=names, MaxRecords=100)
    return list(found["MetricAlarms"])


def mappings(_: Look, check: str, function: Function) -> Iterator[Row]:
    """State and last result of each event source mapping of a function."""
    found = function.mappings()
    for each in found:
        state, result = str(each.get("State", "")), str(each.get("LastProcessingResult", ""))
        stream = str(each.get("EventSourceArn", ""))
        said = f"{table_of(stream) or stream}: {state}, last result {result or 'none yet'}"
        values = {"uuid": each["UUID"], "state": state, "result": result, "stream": stream}
        page = f"see docs/alarms.md#silentalarm; the mapping is {each['UUID']}"
        if state == "Enabled" and result in _RESULTS:
            yield well(check, said, **values)
        elif state == "Disabled" and len(function.writers) > 1:
            yield well(check, f"{said}; the trunk reads for it", **values)
        elif state in ("Disabled", "Disabling", "Deleting"):
            yield attention(check, said, page, **values)
        elif result not in _RESULTS:
            yield attention(check, said, f"read the function's log; {page}", **values)
        else:
            yield worth_knowing(check, said, **values)
    if not found:
        yield attention(check, "there is no mapping: nothing is read", "deploy the stack again")


def branches_of_trunk(look: Look) -> Iterator[Row]:
    """Whether the trunk calls each of its branches, and what is deferred of it."""
    for each in trunk.rows(look.stack, lambda: look.now):
        since = f" since {each['since']}" if each["since"] else ""
        waits = f"{each['deferred']:,} deferred" + (
            f", the oldest for {each['oldest']:,} s" if each["deferred"] else ""
        )
        check, said = f"trunk {each['branch']}", f"{each['state']}{since}; {waits}"
        if each["state"] == State.CLOSED and each["oldest"] <= trunk.LONG_SECONDS:
            yield well(check, said, **each)
        elif each["state"] == State.PAUSED:
            fix = f"run `distributary resume {each['branch']} --stack {look.stack.name}` once it may be called again"
            yield attention(check, said, fix, **each)
        else:
            yield attention(check, said, "see docs/alarms.md#deferredalarm", **each)


def lag(look: Look, check: str, function: Function) -> Iterator[Row]:
    """How far a branch is behind its stream, and how long its last changes took."""
    since = look.now - RECENT
    age = look.hour[of_lambda(name_of(function), "IteratorAge", "Maximum")].since(since).most
    slowest = look.hour[look.own(function.branch, "Lag", "Maximum")].since(since).most
    if age is None and slowest is None:
        yield well(check, "no change in the last 15 minutes", iterator_age_seconds=None, lag_seconds=None)
        return
    said = f"at most {_seconds(age and age / 1000)} behind, {_seconds(slowest)} from change to outcome, in 15 minutes"
    values = {"iterator_age_seconds": age and age / 1000, "lag_seconds": slowest}
    if age is not None and age > _tolerated(look):
        yield attention(check, said, "see docs/alarms.md#iteratoragealarm", **values)
    else:
        yield well(check, said, **values)


def _tolerated(look: Look) -> float:
    """Milliseconds, as the alarm has it."""
    given = {each["ParameterKey"]: each.get("ParameterValue", "") for each in look.described.get("Parameters", [])}
    return float(given.get("IteratorAgeAlarmMilliseconds") or "inf")


def _seconds(value: float | None) -> str:
    return "an unknown time" if value is None else f"{value:,.1f} s"


def outcomes(look: Look, check: str, function: Function) -> Iterator[Row]:
    """What became of the changes of the last hour."""
    counts = {name: round(look.hour[look.own(function.branch, name)].total) for name in (*COUNTED, *NAMED)}
    lambdas = {name: round(look.hour[of_lambda(name_of(function), name)].total) for name in ("Errors", "Throttles")}
    ends = ", ".join(f"{counts[name]:,} {name.lower()}" for name in COUNTED[1:])
    more = [f"{many:,} {name}" for name, many in {**counts, **lambdas}.items() if many and name not in COUNTED]
    said = f"{counts['Received']:,} received in the last hour: {ends}" + "".join(f"; {each}" for each in more)
    values = {name: many for name, many in {**counts, **lambdas}.items() if name in COUNTED or many}
    if counts[UNLISTED]:
        yield attention(check, said, "see docs/alarms.md#unlistedstreamalarm", **values)
    elif counts["Failed"] > MOST_FAILED * counts["Received"]:
        yield attention(check, said, "see docs/alarms.md#failedalarm", **values)
    elif counts["RebuildDue"]:
        command = "doctor --derive" if function.branch == "derive" else f"rebuild {function.branch}"
        yield attention(check, said, f"run `distributary {command} --stack {look.stack.name}`", **values)
    elif more:
        yield worth_knowing(check, said, "see docs/alarms.md", **values)
    else:
        yield well(check, said, **values)


def streams(look: Look, check: str, function: Function) -> Iterator[Row]:
    """Whether the tables still have the streams that a function lists, and under which generation."""
    for table, stream in function.sources.items():
        if data_stream_of(stream):
            yield _data_stream(look, check, function, table, stream)
            continue
        described = look.stack.clients("dynamodb").describe_table(
            TableName=table_here(table_arn_of(stream), function.arn)
        )
        latest = described["Table"].get("LatestStreamArn", "")
        kind = described["Table"].get("StreamSpecification", {}).get("StreamViewType", "")
        generation = function.streams.get(stream)
        said = f"{table}: generation {generation}, {stream.rpartition('/')[2]}"
        values = {"table": table, "stream": stream, "generation": generation, "latest": latest}
        if latest != stream:
            fix = "see docs/alarms.md#unlistedstreamalarm"
            yield attention(check, f"{said}; the table's stream is now {latest or 'off'}", fix, **values)
        elif kind != "NEW_AND_OLD_IMAGES":
            fix = "enable the stream with StreamViewType=NEW_AND_OLD_IMAGES"
            yield attention(check, f"{said}; its records hold {kind or 'nothing'}", fix, **values)
        else:
            yield well(check, said, **values)
    earlier = [stream for stream in function.streams if stream not in function.sources.values()]
    if earlier:
        yield well(check, f"{len(earlier)} earlier streams are listed", earlier=earlier)


def _data_stream(look: Look, check: str, function: Function, table: str, source: str) -> Row:
    """Whether the table writes into the data stream that a function lists."""
    data_stream, generation = data_stream_of(source), function.streams.get(source)
    found = destination(look.stack, source, table_here(table_arn_of(source), function.arn))
    state = found.get("DestinationStatus", "off")
    said = f"{table}: generation {generation}, Kinesis {data_stream.rpartition('/')[2]}"
    values = {"table": table, "stream": source, "generation": generation, "destination": state}
    if state in ("ACTIVE", "UPDATING"):
        return well(check, said, **values)
    return attention(check, f"{said}; the table writes nothing into it: {state}", "see docs/kinesis.md", **values)


def drift(look: Look) -> Iterator[Row]:
    """The last comparison of a random share of the replica."""
    if "DriftFunctionArn" not in look.stack.outputs:
        return
    both = [own(look.stack.name, "replicate", name, "Sum", "drift") for name in ("Drift", "Compared")]
    found = metrics.read(look.stack.clients("cloudwatch"), both, look.now, DRIFT_HOURS)
    differing, compared = (found[metric].last for metric in both)
    if compared is None:
        yield worth_knowing(
            "drift", f"nothing was compared in {DRIFT_HOURS} hours", "see docs/alarms.md#drifterrorsalarm"
        )
        return
    said = f"{differing or 0:,.0f} differ of {compared:,.0f} that were compared last"
    values = {"drift": differing or 0, "compared": compared}
    if differing:
        yield attention("drift", said, "see docs/alarms.md#driftalarm", **values)
    else:
        yield well("drift", said, **values)


def declared(look: Look) -> Iterator[Row]:
    """The project's views against those that the stack's rows were written under."""
    if "derive" not in look.stack.functions:
        return
    try:
        yield from declarations(look.stack, look.project)
    except (UsageFault, DeclarationFaults) as error:
        yield worth_knowing("declarations", f"not compared: {error}", "give --project DIR, before the command")
