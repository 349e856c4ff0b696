"""A move of an index's readers to another generation, put together from plain values."""

import sys
import time
from dataclasses import dataclass
from threading import Lock

from distributary.errors import ConfigError
from distributary.index.opensearch.connect import connect
from distributary.index.opensearch.target import Declared, load, template
from distributary.index.reindex import state as states
from distributary.index.reindex.backfill import Backfill
from distributary.index.reindex.steps import Reindex
from distributary.index.reindex.writers import Deployed, Vouched, Writers
from distributary.index.verify import command

_EVERY_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """`to`: the new generation; None takes the one begun, or the one after the readers'. `function`: the index
    function's name in Lambda, which is asked whether it writes to both. `writing_both`: the user says that it does."""

    places: command.Options
    starts: bool = False
    to: int | None = None
    function: str | None = None
    writing_both: bool = False
    repair: bool = False


def build(move: Move) -> Reindex:
    """Raises Unavailable, ConfigError."""
    options = move.places
    if not options.endpoint:
        raise ConfigError("--endpoint is missing: give the domain's address")
    generation = _target(move)
    lines = Lines()
    verify = command.build(options, generation, move.repair, lines)
    comparator = verify.comparator
    backfill = Backfill(
        comparator.declared, comparator.search, comparator.dynamodb, comparator.table, comparator.keys, lines
    )
    own, indexes = template(comparator.declared.index), load(options.index)

    def origin(readers: int) -> Declared:
        return Declared.of(indexes, comparator.search, readers)

    return Reindex(comparator.declared, origin, _writers(move), backfill, verify, template=own)


def _target(move: Move) -> int:
    """A move that was begun from the readers' generation, or that brought them there, goes before a new one."""
    options = move.places
    if move.to is not None:
        return move.to
    index, client = load(options.index)[0], connect(str(options.endpoint), options.service, options.secret)
    readers = states.read_by(client, index)
    following = index.physical(readers + 1)
    begun = states.exists(client, following) and states.read(client, following) is not None
    came = states.read(client, index.physical(readers)) is not None
    return readers if came and not begun and not move.starts else readers + 1


def _writers(move: Move) -> Writers:
    if move.function:
        return Deployed(command.client("lambda", move.places), move.function)
    return Vouched() if move.writing_both else UnknownWriters()


class UnknownWriters:
    """Neither --function nor --writing-both was given."""

    def both(self, origin: int, target: int, since: float | None) -> float:  # noqa: ARG002
        """See `Writers`."""
        raise ConfigError(
            f"deploy the function with Generation={origin} and AlsoGeneration={target}, then run this again with "
            "--function and its name, or --writing-both if it runs elsewhere"
        )


class Lines:
    """Progress as plain lines on stderr, at most one every few seconds."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._printed, self._lock = time.monotonic(), Lock()

    def __call__(self, what: str, number: int) -> None:
        """Adds to what was read."""
        with self._lock:
            self._counts[what] = self._counts.get(what, 0) + number
            if time.monotonic() - self._printed < _EVERY_SECONDS:
                return
            self._printed = time.monotonic()
            print(", ".join(f"{each} {count:,}" for each, count in self._counts.items()), file=sys.stderr)
