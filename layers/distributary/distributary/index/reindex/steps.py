"""plan, start, compare, swap, rollback: each may be repeated, and refuses to run before the step that it needs."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from distributary.errors import ConfigError
from distributary.index.described import history
from distributary.index.opensearch import bindings, schema
from distributary.index.opensearch.reader import asked
from distributary.index.opensearch.schema import VISIBLE
from distributary.index.opensearch.target import Declared
from distributary.index.reindex import state as states
from distributary.index.reindex.backfill import Backfill
from distributary.index.reindex.state import State
from distributary.index.reindex.writers import Writers
from distributary.index.verify.report import IndexReport
from distributary.index.verify.verifier import Verify

FRESH_SECONDS = 86_400.0
"""How long a comparison is valid."""


class Accepted(NamedTuple):
    """What a comparison may have left when readers are moved: differences, items that are refused and so have no
    document, and items or documents that kept changing and so could not be compared."""

    differences: int = 0
    refused: int = 0
    moving: int = 0


@dataclass(frozen=True, slots=True)
class Reindex:
    """A move of readers to the generation of `target`, whose documents are all made by one declaration.

    Nothing is deleted. The order: `start` makes the index, asks for a function that writes to both, and fills it;
    `compare` holds it against the table; `swap` moves the read alias in one call; `rollback` moves it back, as long as
    the function writes to both. What was done is written after it was done, so a step that was cut off is run again.
    `origin` finds the index of the generation that readers come from.
    """

    target: Declared
    origin: Callable[[int], Declared]
    writers: Writers
    backfill: Backfill
    verify: Verify
    now: Callable[[], float] = time.time
    template: schema.Template = field(default_factory=dict)

    def plan(self) -> Iterator[str]:
        """How far the move is, and what comes next; changes nothing. Raises Unavailable, ConfigError."""
        readers, state = self._readers(), self._state()
        yield f"readers: {self.target.index.physical(readers)}"
        if state is None:
            yield f"next generation: {self.target.physical}, not begun"
            yield "run: start"
            return
        compared = "not compared" if state.compared is None else f"when compared {_left(state)}"
        yield f"next generation: {self.target.physical}, {len(state.done)} of {state.segments} segments, {compared}"
        if readers == self.target.generation:
            old = self.target.index.physical(state.origin)
            yield "readers are on it. run: rollback, as long as the function writes to both"
            yield f"or deploy with Generation={readers} and without AlsoGeneration, and delete {old}"
            return
        yield self.next_step()

    def next_step(self) -> str:
        """The command to run next, or what keeps readers from being moved. Raises Unavailable, ConfigError."""
        return self._unready(self._state(), Accepted()) or "run: swap"

    def start(self, segments: int, again: bool = False) -> Iterator[str]:
        """Makes and fills the index; `again` fills it anew. Raises Unavailable, and ConfigError while the function does
        not write to both."""
        readers, target = self._readers(), self.target.generation
        if target <= readers:
            raise ConfigError(f"readers are on generation {readers}: there is nothing to start for {target}")
        self._check_origin(readers)
        yield asked("index", lambda: schema.apply(self._client, self.target.index, target, self.template))
        state = self._state()
        if state is None or again:
            state = State(origin=readers)
            self._keep(state)
        if state.filled:
            yield "filled already. run: compare"
            return
        since = self._written(readers, target, state.started)
        if state.started is None:
            state = replace(state, started=since, segments=segments)
            self._keep(state)
        self._fill(state)
        counts = sorted(self.backfill.counts.items())
        yield ", ".join(["filled", *(f"{what} {number}" for what, number in counts)]) + ". run: compare"

    def compare(self) -> IndexReport:
        """The index against the table, kept in mind for `swap`. Raises Unavailable, ConfigError."""
        state = self._state()
        if state is None or not state.filled:
            raise ConfigError(f"{self.target.physical} is not filled: run start")
        report = self.verify.run()
        counts = report.counts
        left = replace(state, differences=report.left, refused=counts["parked"], moving=counts["moving"])
        self._keep(replace(left, compared=self.now()))
        return report

    def swap(self, accepted: "Accepted | None" = None) -> str:
        """Moves readers to the target in one call. Raises Unavailable, ConfigError."""
        readers, state = self._readers(), self._state()
        if readers == self.target.generation:
            return f"readers are on {self.target.physical} already"
        fault = self._unready(state, accepted or Accepted())
        if fault is not None or state is None:
            raise ConfigError(fault or "run start")
        self._written(readers, self.target.generation, state.started)
        return self._move(readers, self.target.generation)

    def rollback(self) -> str:
        """Moves readers back to where they came from. Raises Unavailable, ConfigError."""
        readers, state = self._readers(), self._state()
        if state is None or readers not in (self.target.generation, state.origin):
            raise ConfigError(f"no move to {self.target.physical} was begun: there is nothing to take back")
        if readers == state.origin:
            return f"readers are on {self.target.index.physical(readers)} already"
        if self._another_stream(state.origin):
            old = self.target.index.physical(state.origin)
            raise ConfigError(f"readers cannot move back: {old} belongs to an earlier stream, and nothing writes to it")
        self.writers.both(state.origin, readers, state.started)
        return self._move(readers, state.origin)

    @property
    def _client(self) -> Any:
        return self.verify.comparator.search

    def _readers(self) -> int:
        return states.read_by(self._client, self.target.index)

    def _state(self) -> State | None:
        there = states.exists(self._client, self.target.physical)
        return states.read(self._client, self.target.physical) if there else None

    def _check_origin(self, readers: int) -> None:
        """The function writes to both, so the declaration of the old index must still be there, beside the new one."""
        client, origin = self._client, self.origin(readers)
        asked("origin", lambda: schema.require_format(client, origin.physical))
        asked("origin", lambda: schema.require_own(client, origin.index, readers))

    def _written(self, readers: int, target: int, since: float | None) -> float:
        """See `Writers.both`. The new index is bound as the readers' index is. If the function has bound it to another
        stream, it writes there alone: positions of two streams cannot be compared, so the old index stays as it is."""
        if self._another_stream(readers):
            return self.writers.both(target, target, since)
        since = self.writers.both(readers, target, since)
        index = self.target.index
        bindings.carry_over(self._client, index.physical(readers), (self.target.physical, index.write_alias(target)))
        return since

    def _another_stream(self, origin: int) -> bool:
        old, new = self.target.index.physical(origin), self.target.physical
        found = bindings.read(self._client, [old, new])
        return len({found[each].stream for each in (old, new)} - {""}) > 1

    def _keep(self, state: State) -> None:
        states.write(self._client, self.target.physical, state)

    def _fill(self, state: State) -> None:
        finished = list(state.done)

        def done(segment: int) -> None:
            finished.append(segment)
            self._keep(replace(state, done=tuple(finished)))

        left = [segment for segment in range(state.segments) if segment not in state.done]
        declared = [each.declared for each in self.target.branch.sources]
        history(self._client, declared, self.target.generation).due()
        origin = None if self._another_stream(state.origin) else self.origin(state.origin)
        self.backfill.run(left, state.segments, done, origin)

    def _unready(self, state: State | None, accepted: "Accepted") -> str | None:
        if state is None or not state.filled:
            return f"{self.target.physical} is not filled. run: start"
        if state.compared is None or self.now() - state.compared > FRESH_SECONDS:
            return f"{self.target.physical} was not compared in the last {FRESH_SECONDS / 3600:.0f} hours. run: compare"
        left = (state.differences, state.refused, state.moving)
        if any(many > most for many, most in zip(left, accepted, strict=True)):
            accept = " ".join(f"--{name} {many}" for name, many in zip(Accepted._fields, left, strict=True) if many)
            return f"{_left(state)}. run: compare --repair, or swap {accept}"
        return None

    def _move(self, origin: int, target: int) -> str:
        """One atomic call: it fails as a whole if readers are no longer where they were."""
        index = self.target.index
        old = {"index": index.physical(origin), "alias": index.name, "must_exist": True}
        new = {"index": index.physical(target), "alias": index.name, "filter": VISIBLE}
        asked("swap", lambda: self._client.indices.update_aliases(body={"actions": [{"remove": old}, {"add": new}]}))
        return f"readers moved from {index.physical(origin)} to {index.physical(target)}"


def _left(state: State) -> str:
    return f"{state.differences} differences, {state.refused} refused, {state.moving} moving"
