"""The index branch, put together: by the function, the tests, the verifier, and the benchmarks."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from distributary.consumer.parallel import Parallel
from distributary.index.branch import IndexBranch
from distributary.index.declarations import Index
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

    `search` is an OpenSearch client. Raises ConfigError that names every fault of the declarations.
    """
    bulk = Bulk(search, sleep, parallel, settings.request_bytes)
    sources = check(declared)
    here = IndexBranch(sources, settings.generation, bulk, now)
    if settings.also_generation is None:
        return here
    return DualWrite(here, IndexBranch(sources, settings.also_generation, bulk, now))
