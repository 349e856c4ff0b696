"""When mappings that feed each other's streams have come to rest."""

import time
from collections.abc import Iterable, Sequence

from local.errors import LocalError
from local.esm.mapping import EventSourceMapping

_QUIET_SECONDS = 0.5


def wait_until_idle(mappings: Iterable[EventSourceMapping], seconds: float) -> None:
    """Waits until no mapping has anything under way or to read. LocalError after so many seconds.

    Each alone may be drained a moment before another's function writes to its stream. So all are found drained twice:
    at the end of the first round nothing is under way, as long as nothing was read since it began; what was written
    before that is read in the second, or there is nothing.
    """
    each, until = list(mappings), time.monotonic() + seconds
    while True:
        read = _read(each)
        for _ in range(2):
            _drain(each, until)
        if _read(each) == read:
            return


def _drain(mappings: Sequence[EventSourceMapping], until: float) -> None:
    asked = time.monotonic()
    while not all(mapping.drained(asked, _QUIET_SECONDS) for mapping in mappings):
        if time.monotonic() > until:
            left = sum(mapping.outstanding() for mapping in mappings)
            raise LocalError(f"{left} records have not ended, or come back for ever: see .build/local/logs")
        time.sleep(0.05)


def _read(mappings: Sequence[EventSourceMapping]) -> int:
    return sum(mapping.tally.counts().get("read", 0) for mapping in mappings)
