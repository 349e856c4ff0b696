"""The index branch, put together: by the function, the tests, the verifier, and the benchmarks."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from distributary.consumer import outcome as outcomes
from distributary.consumer.aws import Clients
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Outcome
from distributary.consumer.parallel import Parallel
from distributary.consumer.reconcile import Reconcile, Reconciler, chosen
from distributary.consumer.sweep import Done, Rebuilder, Sweep, Swept
from distributary.dynamodb.read_budget import Metered, Pace
from distributary.errors import ConfigError
from distributary.index.branch import IndexBranch
from distributary.index.declarations import Index, of_generation
from distributary.index.described import history
from distributary.index.dual_write import DualWrite
from distributary.index.opensearch.bindings import IndexBindings
from distributary.index.opensearch.bulk import Bulk
from distributary.index.opensearch.history import History
from distributary.index.settings import IndexSettings
from distributary.index.validation import check
from distributary.stream.entity import other_tables


def build(
    declared: Sequence[Index],
    settings: IndexSettings,
    clients: Clients,
    parallel: Parallel,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
    due: Callable[[], None] = lambda: None,
) -> IndexBranch | DualWrite:
    """A branch that keeps the declared indexes of one generation, or of two while readers move to the second.

    Each generation is written by its own declarations. `due` is called with each batch while a rebuild is due.
    Raises ConfigError that names every fault of the declarations.
    """
    bulk = Bulk(_search(settings, clients), sleep, parallel, settings.request_bytes)
    check(declared)
    if faults := other_tables({f"index '{each.name}'": each.of for each in declared}, settings.tables):
        raise ConfigError(faults)
    first, *second = (
        _branch(declared, each, bulk, now, settings.generation, found.check)
        for each, found in histories(declared, settings, clients, now, due).items()
    )
    return DualWrite(first, *second) if second else first


def reconciler(
    branch: IndexBranch | DualWrite, settings: IndexSettings, clients: Clients, pace: Pace | None = None
) -> Reconciler:
    """Sets items right in every index of the branch, of both generations if it writes two. The source table is read
    when a command comes; it raises ConfigError if no setting names the table. `pace` is what others read by as well."""
    whole = [branch] if isinstance(branch, IndexBranch) else [branch.current, branch.next]
    pace = pace or Pace(settings.reconcile_read_units)

    def reconcile(requests: Sequence[Reconcile], deadline: Deadline) -> list[Outcome]:
        # Imported by the first command alone: a cold start that serves the stream does not pay for it.
        from distributary.index.reconcile import IndexReconciler

        names = chosen([source.declared.name for each in whole for source in each.sources], requests)
        for each in whole:
            each.check()
        branches = [
            replace(each, sources=tuple(source for source in each.sources if source.declared.name in names))
            for each in whole
        ]
        dynamodb, search = clients("dynamodb"), _search(settings, clients)
        ends = [
            IndexReconciler(one, search, Metered(dynamodb, pace, part), settings.source)(requests, part)
            for one, part in ((one, deadline.share(len(branches) - at)) for at, one in enumerate(branches))
        ]
        return [outcomes.combine(each) for each in zip(*ends, strict=True)]

    return reconcile


def rebuilder(
    branch: IndexBranch | DualWrite,
    reconcile: Reconciler,
    settings: IndexSettings,
    clients: Clients,
    pace: Pace | None = None,
) -> Rebuilder:
    """Finds what the indexes of the branch hold and no item makes. `pace` is what `reconcile` reads by."""
    whole = [branch] if isinstance(branch, IndexBranch) else [branch.current, branch.next]
    declared = [source.declared for each in whole for source in each.sources]
    shared = pace or Pace(settings.reconcile_read_units)

    class Imported:
        """Imports what it needs when a command comes: a cold start that serves the stream does not pay for it."""

        def _rebuilder(self) -> Rebuilder:
            from distributary.index.sweep import IndexRebuilder

            search, dynamodb = _search(settings, clients), clients("dynamodb")
            kept = histories(declared, settings, clients)
            return IndexRebuilder(whole, reconcile, search, dynamodb, settings.source, shared, kept)

        def sweep(self, asked: Sweep, deadline: Deadline) -> Swept:
            return self._rebuilder().sweep(asked, deadline)

        def declarations(self, done: Done, deadline: Deadline) -> dict[str, Any]:
            return self._rebuilder().declarations(done, deadline)

    return Imported()


def histories(
    declared: Sequence[Index],
    settings: IndexSettings,
    clients: Clients,
    now: Callable[[], float] = time.time,
    due: Callable[[], None] = lambda: None,
) -> dict[int, History]:
    """What the indexes of each generation were written under."""
    search = _search(settings, clients)
    return {each: history(search, declared, each, now, due) for each in settings.generations}


def bindings(declared: Sequence[Index], settings: IndexSettings, clients: Clients) -> IndexBindings:
    """Of the indexes that such a branch writes."""
    places = {
        index.physical(generation): index.write_alias(generation)
        for generation in settings.generations
        for index in of_generation(declared, generation)
    }
    return IndexBindings(_search(settings, clients), list(places.items()), settings.generation)


def _search(settings: IndexSettings, clients: Clients) -> Any:
    return clients("opensearch", endpoint=settings.endpoint, authentication=settings.service, secret=settings.secret)


def _branch(
    declared: Sequence[Index],
    generation: int,
    bulk: Bulk,
    now: Callable[[], float],
    earliest: int,
    check_history: Callable[[], None],
) -> IndexBranch:
    found = of_generation(declared, generation)
    if not found:
        raise ConfigError(
            f"no index is declared for generation {generation}: every one in indexes.py has a later since"
        )
    return IndexBranch(check(found), generation, bulk, now, earliest, check_history)
