"""How far the trunk's other branches lag while `index` is deferred, against while it is not: in turns, in one run."""

import random
from collections.abc import Sequence

from bench.harness import Row, row
from local.demo.lags import CALM, DEFERRED
from local.demo.report import percentile
from local.demo.trunked import Load, Outcome, Round, town
from local.errors import LocalError

LOAD = Load(changes=150, each_second=15, defer_after=5, rounds=(True, False) * 5)
"""Every second round is without faults: what is slow there, no killed process and no rewind has held up."""

TARGET = 2.0
CALMLY = "the same trunk in the same rounds, while all branches answer"
OTHERS = ("derive", "replicate")
LOADED = f"{LOAD.each_second:g} changes a second"
RESAMPLES, WITHIN = 1000, (0.05, 0.95)


def rows() -> list[Row]:
    """Seconds from a write to the checkpoint behind it, which is after each branch's own write. Raises LocalError if a
    branch is not as its source says in the end."""
    with town(1, LOAD) as it:
        found = it.run()
    _check(found)
    workload = f"{LOADED}, index deferred in turns"
    deferred = sum(found.counts[name].get("Deferred", 0) for name in OTHERS)
    fed = sum(found.fed.values())
    return [
        *_lags([each for each in found.rounds if each.faulted], f"{workload}, the demo's faults"),
        *_lags([each for each in found.rounds if not each.faulted], f"{workload}, no other faults"),
        row("trunk", workload, "until index is deferred, at most", "s", found.open_seconds, 0.0, "none: end to end"),
        row("trunk", workload, "deferred changes of derive and replicate", "", deferred, 0.0, "none: end to end"),
        row("trunk", workload, "deferred changes that were fed", "", fed, 0.0, "none: end to end"),
    ]


def _lags(rounds: Sequence[Round], workload: str) -> list[Row]:
    """All rounds' lags together; and how far their ratio moves if others of the rounds had been drawn."""
    least, most = _spread(rounds)
    of = f"{workload}, {len(rounds)} rounds"
    return [
        row("trunk", of, "p50 lag", "s", _pooled(rounds, DEFERRED, 0.5), _pooled(rounds, CALM, 0.5), CALMLY),
        row("trunk", of, "p99 lag", "s", _pooled(rounds, DEFERRED, 0.99), _pooled(rounds, CALM, 0.99), CALMLY, TARGET),
        row("trunk", of, "ratio of p99, least of 90 % of redrawn rounds", "", least, 1.0, "1"),
        row("trunk", of, "ratio of p99, most of 90 % of redrawn rounds", "", most, 1.0, "1"),
    ]


def _spread(rounds: Sequence[Round]) -> tuple[float, float]:
    """The bootstrap of rounds (https://en.wikipedia.org/wiki/Bootstrapping_(statistics)): seeded."""
    draw = random.Random(1)
    drawn = [draw.choices(rounds, k=len(rounds)) for _ in range(RESAMPLES)]
    ratios = [_pooled(each, DEFERRED, 0.99) / _pooled(each, CALM, 0.99) for each in drawn]
    return percentile(ratios, WITHIN[0]), percentile(ratios, WITHIN[1])


def _pooled(rounds: Sequence[Round], phase: str, share: float) -> float:
    return percentile([lag for each in rounds for lag in each.lags[phase]], share)


def _check(found: Outcome) -> None:
    differ = [f"{each.branch}: {each.differences[0]}" for each in found.found if each.differences]
    if differ:
        raise LocalError(f"not as the source says: {', '.join(differ)}")
