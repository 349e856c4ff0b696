"""`python -m distributary.index.reindex STEP TABLE`: 0 if done, 1 if differences are left, 2 with what to do first."""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from pathlib import Path
from threading import Lock
from typing import NoReturn

from distributary.errors import ConfigError, DistributaryError
from distributary.index.opensearch.connect import connect
from distributary.index.opensearch.target import load, of, template
from distributary.index.reindex import state as states
from distributary.index.reindex.backfill import Backfill
from distributary.index.reindex.steps import Accepted, Reindex
from distributary.index.reindex.writers import Deployed, Vouched, Writers
from distributary.index.verify import command

_EVERY_SECONDS = 5.0


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status."""
    options = parser().parse_args(arguments)
    try:
        return int(options.step(build(options), options))
    except ConfigError as error:
        print(f"reindex: {error}", file=sys.stderr)
    except DistributaryError as error:
        print(f"reindex: stopped: {error}; run it again", file=sys.stderr)
    except OSError as error:
        print(f"reindex: --json: {error}", file=sys.stderr)
    return 2


class _Parser(argparse.ArgumentParser):
    """Wrong usage is one line."""

    def error(self, message: str) -> NoReturn:
        """Ends the process with status 2."""
        self.exit(2, f"reindex: {message}; see --help\n")


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = _Parser("distributary.index.reindex", description=__doc__)
    steps = parser.add_subparsers(required=True, metavar="STEP")
    for step, what in ((_plan, "say where things stand"), (_start, "make the index and fill it")):
        _add(steps, step, what)
    for step, what in ((_compare, "hold it against the table"), (_swap, "move readers"), (_rollback, "move them back")):
        _add(steps, step, what)
    return parser


def _add(steps: argparse._SubParsersAction, step: Callable[..., int], what: str) -> None:
    parser = steps.add_parser(step.__name__.removeprefix("_"), help=what)
    parser.set_defaults(step=step, repair=False)
    command.add_places(parser)
    parser.add_argument("--to", type=int, help="the new generation; default: the one begun, or the readers' and one")
    writers = parser.add_mutually_exclusive_group()
    writers.add_argument("--function", help="the index function's name in Lambda, asked whether it writes to both")
    writers.add_argument("--writing-both", action="store_true", help="say that it does, and has since start")
    if step is _start:
        parser.add_argument("--again", action="store_true", help="fill it anew")
    if step is _compare:
        parser.add_argument("--repair", action="store_true", help="set right what differs, where that is safe")
    if step is _swap:
        parser.add_argument("--differences", type=int, default=0, help="accept so many differences (0)")
        parser.add_argument("--refused", type=int, default=0, help="accept so many items without a document (0)")
        parser.add_argument("--moving", type=int, default=0, help="accept so many that could not be compared (0)")


def build(options: argparse.Namespace) -> Reindex:
    """Raises Unavailable, ConfigError."""
    if not options.endpoint:
        raise ConfigError("--endpoint is missing: give the domain's address")
    generation = _target(options)
    lines = Lines()
    verify = command.build(options, generation, options.repair, lines)
    eye = verify.eye
    backfill = Backfill(eye.declared, eye.dynamodb, eye.table, eye.keys, lines)
    own = template(eye.declared.index)
    return Reindex(eye.declared, partial(of, load(options.index)), _writers(options), backfill, verify, template=own)


def _target(options: argparse.Namespace) -> int:
    """A move that was begun from where readers stand, or that brought them there, goes before a new one."""
    if options.to is not None:
        return int(options.to)
    index, client = load(options.index)[0], connect(options.endpoint, options.service, options.secret)
    readers = states.read_by(client, index)
    following = index.physical(readers + 1)
    begun = states.exists(client, following) and states.read(client, following) is not None
    came = states.read(client, index.physical(readers)) is not None
    return readers if came and not begun and options.step is not _start else readers + 1


def _writers(options: argparse.Namespace) -> Writers:
    if options.function:
        return Deployed(command.client("lambda", options), options.function)
    return Vouched() if options.writing_both else Nobody()


class Nobody:
    """Neither was given."""

    def both(self, origin: int, target: int, since: float | None) -> float:  # noqa: ARG002
        """See `Writers`."""
        raise ConfigError(
            f"deploy the function with Generation={origin} and AlsoGeneration={target}, then run this again with "
            "--function and its name, or --writing-both if it runs elsewhere"
        )


class Lines:
    """Progress, in plain lines on stderr, now and then."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._told, self._lock = time.monotonic(), Lock()

    def __call__(self, what: str, number: int) -> None:
        """So many more were read."""
        with self._lock:
            self._counts[what] = self._counts.get(what, 0) + number
            if time.monotonic() - self._told < _EVERY_SECONDS:
                return
            self._told = time.monotonic()
            print(", ".join(f"{each} {count:,}" for each, count in self._counts.items()), file=sys.stderr)


def _plan(reindex: Reindex, options: argparse.Namespace) -> int:  # noqa: ARG001
    return _said(reindex.plan())


def _start(reindex: Reindex, options: argparse.Namespace) -> int:
    return _said(reindex.start(options.segments, options.again))


def _compare(reindex: Reindex, options: argparse.Namespace) -> int:
    report = reindex.compare()
    if options.json:
        Path(options.json).write_text(json.dumps(report.as_json(), indent=2, ensure_ascii=False) + "\n")
    return _said([*report.lines(), reindex.next_step()], report.status)


def _swap(reindex: Reindex, options: argparse.Namespace) -> int:
    return _said([reindex.swap(Accepted(options.differences, options.refused, options.moving))])


def _rollback(reindex: Reindex, options: argparse.Namespace) -> int:  # noqa: ARG001
    return _said([reindex.rollback()])


def _said(lines: Iterable[str], status: int = 0) -> int:
    for line in lines:
        print(line, flush=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
