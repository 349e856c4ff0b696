"""How many event source mappings read a stream, and how many it serves."""

from collections.abc import Mapping, Sequence
from typing import Any

from distributary.consumer.aws import AwsError, code_of
from distributary.verify.finding import Finding, fault, ok, unknown

Table = Mapping[str, Any]
"""DescribeTable's `Table`."""

READERS, READERS_OF_A_GLOBAL_TABLE = 2, 1
"""https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html"""

_RESTING = ("Disabled", "Disabling", "Deleting")
"""States of a mapping that delivers nothing any more."""

_CHECK = "readers"


def examine(client: Any, source: Table, stream: str, function: str | None, check: str = _CHECK) -> Finding:
    """Whether the stream of the table `source` has no more readers than it serves, `function` among them. `client`: of
    Lambda."""
    try:
        pages = client.get_paginator("list_event_source_mappings").paginate(EventSourceArn=stream)
        found = [each for page in pages for each in page["EventSourceMappings"] if each.get("State") != "Deleting"]
    except AwsError as error:
        fix = "allow lambda:ListEventSourceMappings to these credentials"
        return unknown(check, f"the event source mappings cannot be listed: {code_of(error)}", fix)
    return judged(source, found, function, check)


def judged(source: Table, mappings: Sequence[Mapping[str, Any]], function: str | None, check: str = _CHECK) -> Finding:
    """So many mappings as the stream serves, one of `function` among them. A disabled one reads nothing, as that of a
    function which the trunk carries."""
    most = READERS_OF_A_GLOBAL_TABLE if replicas(source) else READERS
    resting = {_function(each) for each in mappings if not is_live(each)}
    names = sorted(_function(each) for each in mappings if is_live(each))
    own = function and function_name(function)
    wanted = len(names) + (own is not None and own not in {*names, *resting})
    found = f"{len(names)} of {most} event source mappings are taken: {', '.join(names) or 'none'}"
    if wanted > most:
        kind = "a global table serves one; " if replicas(source) else ""
        return fault(
            check,
            found + (f"; with {function} there would be {wanted}" if wanted > len(names) else ""),
            f"{kind}give the stream as the stack's TrunkSourceArn, and one function reads it for all of them; or "
            "detach a function, or feed the others through Kinesis Data Streams; shards are throttled beyond that",
        )
    return ok(check, f"{found}; readers of other accounts and other programs are not seen from here")


def is_live(mapping: Mapping[str, Any]) -> bool:
    """Whether it delivers, or is about to."""
    return mapping.get("State") not in _RESTING


def function_name(named: str) -> str:
    """A function's name, of its name or its ARN, each with or without an alias."""
    parts = named.split(":")
    return parts[6] if parts[0] == "arn" else parts[0]


def replicas(table: Table) -> Sequence[Mapping[str, Any]]:
    """Of a global table, in other regions."""
    return table.get("Replicas") or ()


def _function(mapping: Mapping[str, Any]) -> str:
    return function_name(str(mapping["FunctionArn"]))
