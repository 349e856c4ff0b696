"""The index branch, put together: by the function, the tests, the verifier, and the benchmarks."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from distributary.consumer.parallel import Parallel
from distributary.errors import ConfigError
from distributary.index.branch import IndexBranch
from distributary.index.declarations import Index, of_generation
from distributary.index.dual_write import DualWrite
from distributary.index.opensearch.bulk import Bulk
from distributary.index.settings import IndexSettings
from distributary.index.validation import check


def build(
    declared: Sequence[Index],
    settings: IndexSettings,
    search: Any,
    parallel: Parallel,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> IndexBranch | DualWrite:
    """A branch that keeps the declared indexes of one generation, or of two while readers move to the second.

    Each generation is written by its own declarations.
    `search` is an OpenSearch client. Raises ConfigError that names every fault of the declarations.
    """
    bulk = Bulk(search, sleep, parallel, settings.request_bytes)
    check(declared)
    here, also = settings.generation, settings.also_generation
    if also is None or also == here:
        return _branch(declared, here, bulk, now)
    return DualWrite(_branch(declared, here, bulk, now), _branch(declared, also, bulk, now))


def _branch(declared: Sequence[Index], generation: int, bulk: Bulk, now: Callable[[], float]) -> IndexBranch:
    found = of_generation(declared, generation)
    if not found:
        raise ConfigError(
            f"no index is declared for generation {generation}: every one in indexes.py has a later since"
        )
    return IndexBranch(check(found), generation, bulk, now)
