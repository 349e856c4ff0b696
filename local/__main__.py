"""python -m local up | attach | invoke | demo"""

import argparse
import json
import os
import signal
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from rich.console import Console

from local.attach import Order, attach
from local.aws import Aws
from local.emulators import Ports, embedded
from local.errors import LocalError
from local.stack import Project, Stack
from local.template import TableSpec

_REGION = "us-east-1"


def main(arguments: Sequence[str]) -> int:
    """0 if all went well. What the user can mend is one line on stderr, and 1."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _interrupt)
    try:
        if arguments[:1] == ["demo"]:
            from local import demo

            return int(demo.main(list(arguments[1:])))
        options = _parser().parse_args(arguments)
        return int(options.run(options))
    except LocalError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    """A polite kill ends as an interrupt at the keyboard does: everything is stopped in order."""
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local", description="Distributary on one machine")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start embedded AWS and OpenSearch until interrupted")
    up.add_argument("--port", type=int, help="port for AWS (default: a free one)")
    up.add_argument("--opensearch-port", type=int, help="port for OpenSearch (default: a free one)")
    up.set_defaults(run=_up)
    _add_attach(commands.add_parser("attach", help="drive functions from an existing table's stream"))
    invoke = commands.add_parser("invoke", help="run one function with one event, on embedded services")
    invoke.add_argument("function", metavar="FUNCTION")
    invoke.add_argument("-e", "--event", required=True, type=Path, help="a file such as events/insert.json")
    invoke.add_argument("--region", default=_REGION, help=f"where the function runs (default: {_REGION})")
    _add_project(invoke)
    invoke.set_defaults(run=_invoke)
    commands.add_parser("demo", help="the whole of it, with faults, reconciled", add_help=False)
    return parser


def _add_attach(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", metavar="TABLE")
    parser.add_argument("functions", metavar="FUNCTION", nargs="+")
    parser.add_argument("--endpoint-url", help="where the table is (default: AWS_ENDPOINT_URL, or else AWS)")
    parser.add_argument("--region")
    parser.add_argument("--until-drained", action="store_true", help="stop when the stream is drained")
    parser.add_argument("--backfill", action="store_true", help="also deliver the items that the table already holds")
    parser.add_argument(
        "--embedded",
        action="store_true",
        help="keep the functions' own tables in services embedded in this run, not at the endpoint; always so on AWS",
    )
    _add_project(parser)
    parser.set_defaults(run=_attach)


def _add_project(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--parameter", action="append", default=[], metavar="KEY=VALUE", help="of template.yaml")
    parser.add_argument(
        "--declared",
        action="append",
        default=[],
        metavar="FUNCTION=FOLDER",
        help="a folder whose files, such as replica.py, take the place of the function's own",
    )


def _up(options: argparse.Namespace) -> int:
    with embedded(Ports(options.port, options.opensearch_port)) as endpoints:
        print(f"AWS at {endpoints.aws}, OpenSearch at {endpoints.opensearch}; Ctrl-C ends both. In another shell:\n")
        exports = {**Aws.at_emulator(endpoints.aws, _REGION).environment(), "OPENSEARCH_ENDPOINT": endpoints.opensearch}
        print("\n".join(f"export {name}={value}" for name, value in exports.items()), flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("stopped")
    return 0


def _attach(options: argparse.Namespace) -> int:
    endpoint = options.endpoint_url or os.environ.get("AWS_ENDPOINT_URL") or None
    parameters = _pairs("--parameter", options.parameter)
    if search := os.environ.get("OPENSEARCH_ENDPOINT"):
        parameters = {"OpenSearchEndpoint": search, **parameters}
    order = Order(
        table=options.table,
        functions=tuple(dict.fromkeys(options.functions)),
        source=Aws.of_user(endpoint, options.region),
        embedded=options.embedded or endpoint is None,
        until_drained=options.until_drained,
        backfill=options.backfill,
        parameters=parameters,
    )
    return attach(order, _project(options), Console(width=max(130, Console().width)))


def _invoke(options: argparse.Namespace) -> int:
    event, parameters = _event(options.event), _pairs("--parameter", options.parameter)
    project, log = _project(options), lambda _, line: print(line, file=sys.stderr)
    with Stack.start(project, parameters, options.region, log=log) as stack:
        if options.function == "index":
            stack.apply_index()
        if options.function == "replicate" and (replica := _table_of(event)):
            stack.create_replica(replica)
        function = stack.function(options.function)
        answer = function.invoke(json.dumps(event).encode())
        if counts := function.metrics.counts():
            print("metrics: " + ", ".join(f"{name} {count}" for name, count in counts.items()), file=sys.stderr)
        print(json.dumps(answer.payload, indent=2))
        return 1 if answer.function_error else 0


def _event(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except OSError as error:
        raise LocalError(f"{path}: {error.strerror}: name a file, such as events/insert.json") from None
    except ValueError as error:
        raise LocalError(f"{path} is no JSON: {error}") from None


def _table_of(event: Any) -> TableSpec | None:
    """A table whose key is that of the event's first record that has one."""
    records = event.get("Records") if isinstance(event, dict) else None
    for record in records if isinstance(records, list) else []:
        keys = (record.get("dynamodb") or {}).get("Keys") if isinstance(record, dict) else None
        if isinstance(keys, dict) and 1 <= len(keys) <= 2:
            kinds = zip(keys, ("HASH", "RANGE"), strict=False)
            schema = tuple({"AttributeName": name, "KeyType": kind} for name, kind in kinds)
            types = tuple({"AttributeName": name, "AttributeType": next(iter(keys[name]))} for name in keys)
            return TableSpec("", schema, types)
    return None


def _project(options: argparse.Namespace) -> Project:
    folders = _pairs("--declared", options.declared, "FUNCTION=FOLDER")
    return Project(declared={name: Path(folder) for name, folder in folders.items()})


def _pairs(option: str, given: Sequence[str], form: str = "KEY=VALUE") -> Mapping[str, str]:
    for each in given:
        if "=" not in each:
            raise LocalError(f"{option} {each}: write it as {form}")
    return dict(each.split("=", 1) for each in given)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
