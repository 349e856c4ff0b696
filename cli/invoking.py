"""`distributary invoke`: one function, one event, on embedded services."""

import json
import sys
from typing import Annotated, Any

import typer

from cli import project as projects
from cli.errors import UsageFault
from cli.options import LOCAL_REGION, Declared, Event, Parameters, pairs, read_event
from cli.running import here, local_project


def invoke(
    context: typer.Context,
    function: Annotated[str, typer.Argument(metavar="FUNCTION")],
    event: Event,
    region: Annotated[str, typer.Option(help="Where the function runs.")] = LOCAL_REGION,
    parameter: Parameters = [],
    declared: Declared = [],
) -> int:
    """Run one function with one event, on embedded services."""
    from local.stack import Stack

    given, parameters, found = read_event(event), pairs("--parameter", parameter), here(context, declared)
    project = local_project(found)
    project.template.source(function)
    projects.check(found, [function])
    if function in projects.FUNCTIONS:
        _check_event(given, event)
    with Stack.start(project, parameters, region, log=_say, outbox=project.outbox) as stack:
        if function == "index":
            stack.apply_index()
        if function == "replicate" and (replica := _table_of(given)):
            stack.create_replica(replica)
        running, made = stack.function(function), stack.made(function, contents=True)
        answer = running.invoke(json.dumps(given).encode())
        counts = running.metrics.counts()
        outcomes = ", ".join(f"{many} {name.lower()}" for name, many in counts.items() if many or name == "Received")
        _say(function, outcomes or "no change was read")
        for line in made.look():
            print(line, file=sys.stderr)
        print(json.dumps(answer.payload, indent=2))
        return 1 if answer.function_error else 0


def _check_event(given: Any, source: str) -> None:
    """Raises UsageFault for what a branch takes as neither a batch of a stream nor a command."""
    if not isinstance(given, dict) or not ("distributary" in given or isinstance(given.get("Records"), list)):
        shown = "standard input" if source == "-" else source
        raise UsageFault(f"{shown}: it has no list 'Records': give a stream event, as `distributary event` prints one")


def _say(function: str, line: str) -> None:
    """A cause in plain words, any other line of a function's log as it is."""
    from local.attach_report import cause_in

    found = cause_in(line)
    print(f"{function}: {': '.join(found) if found else line}", file=sys.stderr)


def _table_of(event: Any) -> Any:
    """A table whose key is that of the event's first record that has one."""
    from local.template import TableSpec

    records = event.get("Records") if isinstance(event, dict) else None
    for record in records if isinstance(records, list) else []:
        keys = (record.get("dynamodb") or {}).get("Keys") if isinstance(record, dict) else None
        if isinstance(keys, dict) and 1 <= len(keys) <= 2:
            kinds = zip(keys, ("HASH", "RANGE"), strict=False)
            schema = tuple({"AttributeName": name, "KeyType": kind} for name, kind in kinds)
            types = tuple({"AttributeName": name, "AttributeType": next(iter(keys[name]))} for name in keys)
            return TableSpec("", schema, types)
    return None
