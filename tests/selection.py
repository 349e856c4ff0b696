"""Which tests `make test` runs, and which `make test-rest`: together they are all.

`make test` leaves out three markers: `slow`, `emulator` (given here to whatever uses an emulated service), and what
has a target of its own (`opensearch`, `deploy`). A test that enumerates is cut: `parts` and `sampled` mark all but a
sample `slow`. The sample is always the same, so a failure needs no seed to come again. What Hypothesis draws is in
both: a few examples of each test in the first, all of them in the second.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from hashlib import sha256
from itertools import islice
from typing import TypeVar

import pytest
from hypothesis import settings

WHOLE, SAMPLE = 150, 40
"""Examples of a test of Hypothesis in `make test-rest`, and in `make test`."""

SERVICES = {"emulators", "endpoints", "dynamodb_url"}
"""The fixtures that start emulated services."""

ENGINES = {"emulated", "lean", "ministack", "osmem"}
"""The parameters by which a fixture asks for one of them."""

T = TypeVar("T")


def parts(many: int) -> pytest.MarkDecorator:
    """A test of an enumeration takes `part`, and asks `cut` for its share; only the first part is not `slow`."""
    later = [pytest.param((at, many), marks=pytest.mark.slow, id=f"part{at}") for at in range(1, many)]
    return pytest.mark.parametrize("part", [pytest.param((0, many), id="part0"), *later])


def cut(every: Iterable[T], part: tuple[int, int]) -> Iterator[T]:
    """Of the enumeration, the share of this part."""
    at, many = part
    return islice(every, at, None, many)


def examples(many: int) -> int:
    """Of a test of Hypothesis that needs another number than the others: so many in `make test-rest`."""
    return max(1, many * settings.default.max_examples // WHOLE)  # type: ignore[union-attr]


def mark(items: Iterable[pytest.Item]) -> None:
    """Adds the markers that follow from fixtures and from `sampled`."""
    sampled: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if _emulated(item):
            item.add_marker("emulator")
        if item.get_closest_marker("sampled"):
            sampled[_kind(item)].append(item)
    for alike in sampled.values():
        keep = alike[0].get_closest_marker("sampled").args[0]  # type: ignore[union-attr]
        for item in sorted(alike, key=_drawn)[keep:]:
            item.add_marker("slow")


def _emulated(item: pytest.Item) -> bool:
    """All of tests/integration is: what is on services there may be in a process of its own."""
    parameters = getattr(item, "callspec", None)
    asked = {each for each in parameters.params.values() if isinstance(each, str)} if parameters else set()
    starts = SERVICES & set(getattr(item, "fixturenames", ())) or ENGINES & asked
    return bool(starts) or "integration" in item.path.parts


def _name(item: pytest.Item) -> str:
    return str(getattr(item, "originalname", item.name))


def _kind(item: pytest.Item) -> str:
    """The test, and the branch that it is of: each branch has its sample."""
    parameters = getattr(item, "callspec", None)
    harness = parameters.params.get("harness") if parameters else None
    return f"{item.path}::{_name(item)}[{getattr(harness, 'name', '')}]"


def _drawn(item: pytest.Item) -> str:
    """Where a case comes in a draw that never changes."""
    return sha256(item.name.encode()).hexdigest()
