"""The soak: all schedules are played on all cores, and the first that ends wrong stops it and is named."""

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from tests.scheduler.__main__ import main
from tests.simulation.schedules import Schedule

ROOT = Path(__file__).parents[2]


class OneAfterTheOther:
    """In the place of a pool of processes, which would not see what a test exchanges. Tasks run when asked for."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing goes on in the background."""

    def imap_unordered(self, call: Callable[[Any], Any], tasks: Iterable[Any]) -> Iterator[Any]:
        return map(call, tasks)


@pytest.mark.parametrize("branch", [pytest.param("derive-shuffled", marks=pytest.mark.slow), "index"])
def test_the_command_plays_every_schedule(branch: str) -> None:
    command = [sys.executable, "-m", "tests.scheduler", "60", "--first", "7", "--branch", branch]
    path = {"PYTHONPATH": ".:layers/distributary"}
    run = subprocess.run(command, cwd=ROOT, env=path, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    assert f"60 schedules of {branch} from seed 7 on" in run.stdout


def test_a_schedule_that_ends_wrong_stops_it_and_its_seed_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(schedule: Schedule) -> None:
        assert schedule.seed != 73, "the views differ"

    monkeypatch.setattr(Schedule, "run", run)
    assert main(["200"], OneAfterTheOther) == 1
    told = capsys.readouterr().err
    assert "the views differ" in told
    assert "SEED=73" in told
