"""Commands that wait for nothing, in a test.

Only the modules that wait get another `time.sleep`. The real one is everybody's: under a test that took it away from
all, a thread that another test left, such as an emulator's that looks for expired items once a minute, ran without end.
"""

import time
from types import SimpleNamespace

import pytest

WAITING = ("cli.feed.deployment", "distributary.feed.invoke", "distributary.feed.part")


def without_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that these modules then ask for, as they ask."""
    slept: list[float] = []
    clock = SimpleNamespace(**{**vars(time), "sleep": slept.append})
    for module in WAITING:
        monkeypatch.setattr(f"{module}.time", clock)
    return slept
