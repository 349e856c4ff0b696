"""Whether each Kinesis data stream of a stack gets every change, and the functions that read it can work with it."""

from collections.abc import Iterator, Mapping
from typing import Any

from cli import data_stream_access
from cli.stack import Function, Stack
from distributary.consumer.aws import AwsError, code_of
from distributary.stream.keys import table_arn_of, table_of
from distributary.stream.kinesis import data_stream_of
from distributary.verify.finding import Finding, fault, note, ok, unknown

_TOMBSTONES = ("TombstoneDays", "TOMBSTONE_DAYS", "its tombstones go")
FORGETS = {
    "derive": _TOMBSTONES,
    "replicate": _TOMBSTONES,
    "index": ("MarkerDays", "MARKER_DAYS", "its markers of deleted items go"),
    "welcome": ("ClaimDays", "CLAIM_DAYS", "its claims of rules that send again go"),
}
"""By function: the parameter and the variable with the days for which it can judge late changes, and what it forgets
then."""


def examine(stack: Stack) -> Iterator[Finding]:
    """Findings for each data stream that a function of the stack reads, or the trunk for it."""
    readers: dict[str, list[Function]] = {}
    for function in stack.functions.values():
        for source in function.sources.values():
            if data_stream_of(source):
                readers.setdefault(source, []).append(function)
    for source, functions in readers.items():
        yield from _examined(stack, source, functions)


def _examined(stack: Stack, source: str, functions: list[Function]) -> Iterator[Finding]:
    data_stream, summary = data_stream_of(source), dict[str, Any]()
    yield _destination(stack, source)
    try:
        asked = stack.clients("kinesis").describe_stream_summary(StreamARN=data_stream)
        summary = asked["StreamDescriptionSummary"]
        yield from _retention(stack, data_stream, summary["RetentionPeriodHours"], functions)
    except AwsError as error:
        fix = "allow kinesis:DescribeStreamSummary to these credentials"
        yield unknown(_retained(data_stream), f"it cannot be looked up, nor the key: {code_of(error)}", fix)
    readers = {reader.arn: reader for each in functions for reader in each.writers[-1:]}
    yield from data_stream_access.examine(stack, data_stream, list(readers.values()), summary)


def destination(stack: Stack, source: str, table: str) -> Mapping[str, str]:
    """How a table writes into a data stream, as DynamoDB describes it; empty if it never did. `table`: its name, or
    its ARN. Raises ClientError."""
    asked = stack.clients("dynamodb").describe_kinesis_streaming_destination(TableName=table)
    found = {each["StreamArn"]: each for each in asked["KinesisDataStreamDestinations"]}
    return found.get(data_stream_of(source), {})


def _destination(stack: Stack, source: str) -> Finding:
    """Whether the table writes into the data stream, with times that tell most changes apart."""
    table, data_stream = table_of(source), data_stream_of(source)
    check, enable = f"destination of {table}", "docs/runbooks/kinesis.md has the command that enables it"
    try:
        state = destination(stack, source, table_arn_of(source))
    except AwsError as error:
        code, fix = code_of(error), "allow dynamodb:DescribeKinesisStreamingDestination to these credentials"
        if code == "ResourceNotFoundException":
            fix = f"check that there is still a table {table}: without it nothing is written into the data stream"
        return unknown(check, f"it cannot be looked up: {code}", fix)
    if state.get("DestinationStatus") not in ("ACTIVE", "UPDATING"):
        return fault(check, f"{data_stream} gets no changes: {state.get('DestinationStatus', 'never enabled')}", enable)
    precision = state.get("ApproximateCreationDateTimePrecision", "MILLISECOND")
    if precision != "MICROSECOND":
        said = f"{data_stream} gets times in {precision.lower()}s: more changes have one time, and cost a read each"
        return note(check, said, "update the destination to MICROSECOND, then run distributary verify with --repair")
    return ok(check, f"{data_stream} gets every change, with its time in microseconds")


def _retained(data_stream: str) -> str:
    return f"retention of {data_stream.rpartition('/')[2]}"


def _retention(stack: Stack, data_stream: str, hours: int, functions: list[Function]) -> Iterator[Finding]:
    """A record that comes later than a function remembers would bring back what was deleted since, or be sent again."""
    check = _retained(data_stream)
    known = {each.branch: days for each in functions if (days := _days(stack, each))}
    short = {branch: days for branch, days in known.items() if days * 24 <= hours}
    for branch, days in short.items():
        parameter, _, forgotten = FORGETS[branch]
        said = f"records are kept for {hours} hours, and {branch} forgets before: {forgotten} after {days} days"
        yield fault(check, said, f"deploy with {parameter} above {hours // 24}, or shorten the retention")
    if not short:
        yield ok(check, f"records are kept for {hours} hours; every function remembers deletes for longer")


def _days(stack: Stack, function: Function) -> int:
    """For which a function judges late changes; 0 if it needs no memory for that, or was deployed without saying it."""
    if function.branch == "welcome":
        return stack.claim_days
    _, variable, _ = FORGETS.get(function.branch, ("", "", ""))
    return int(function.environment.get(variable, 0))
