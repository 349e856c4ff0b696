"""How many read each stream of a deployed stack."""

from collections.abc import Iterator

from cli.stack import Stack
from distributary.consumer.aws import AwsError, code_of
from distributary.stream.keys import table_arn_of, table_of
from distributary.stream.kinesis import data_stream_of
from distributary.verify import stream_readers
from distributary.verify.finding import Finding, ok, unknown


def examine(stack: Stack) -> Iterator[Finding]:
    """A finding for each stream that a function of the stack reads, or the trunk for it."""
    streams = [stream for function in stack.functions.values() for stream in function.sources.values()]
    for stream in dict.fromkeys(streams):
        yield _examined(stack, stream)


def _examined(stack: Stack, stream: str) -> Finding:
    check = f"readers of {table_of(stream)}"
    if data_stream := data_stream_of(stream):
        return ok(check, f"{data_stream} serves as many as its throughput allows")
    try:
        table = stack.clients("dynamodb").describe_table(TableName=table_arn_of(stream))["Table"]
    except AwsError as error:
        fix = "allow dynamodb:DescribeTable to these credentials: the stream of a global table serves one reader only"
        return unknown(check, f"the table cannot be looked up: {code_of(error)}", fix)
    return stream_readers.examine(stack.clients("lambda"), table, stream, None, check)
