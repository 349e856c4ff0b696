"""How far the trunk's other branches lag while `index` is deferred, against before: one run, the same faults."""

from bench.harness import Row, row
from local.demo.report import percentile
from local.demo.trunked import Load, Outcome, town
from local.errors import LocalError

LOAD = Load(changes=600, each_second=15, defer_after=10)
TARGET = 2.0
BEFORE = "the same trunk, while all branches answer"
OTHERS = ("derive", "replicate")
WORKLOAD = f"{LOAD.each_second:g} changes a second, the demo's faults, index deferred"


def rows() -> list[Row]:
    """Seconds from a write to the checkpoint behind it, which is after each branch's own write. Raises LocalError if a
    branch is not as its source says in the end."""
    with town(1, LOAD) as it:
        found = it.run()
    _check(found)
    lags = [_against(found, share) for share in (0.5, 0.99)]
    deferred = sum(found.counts[name].get("Deferred", 0) for name in OTHERS)
    fed = sum(found.fed.values())
    return [
        *lags,
        row("trunk", WORKLOAD, "until index is deferred", "s", found.open_seconds, 0.0, "none: end to end"),
        row("trunk", WORKLOAD, "deferred changes of derive and replicate", "", deferred, 0.0, "none: end to end"),
        row("trunk", WORKLOAD, "deferred changes that were fed", "", fed, 0.0, "none: end to end"),
    ]


def _against(found: Outcome, share: float) -> Row:
    before, meanwhile = (percentile(found.lags[phase], share) for phase in ("calm", "deferred"))
    target = TARGET if share == 0.99 else None
    return row("trunk", WORKLOAD, f"p{round(100 * share)} lag", "s", meanwhile, before, BEFORE, target)


def _check(found: Outcome) -> None:
    differ = [f"{each.branch}: {each.differences[0]}" for each in found.found if each.differences]
    if differ:
        raise LocalError(f"not as the source says: {', '.join(differ)}")
