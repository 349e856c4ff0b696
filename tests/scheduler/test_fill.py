"""A first fill beside the stream: whatever comes between its calls, the branch ends where its source is."""

import pytest

from tests.scheduler.branches import BRANCHES
from tests.scheduler.filled import FilledIndex, FilledMirror, FilledViews, attach, fill
from tests.scheduler.race import deleting, editing, put, race
from tests.scheduler.runs import deep, play, play_every, seeds

HELD = [put(10), put(10, "i1"), attach]
SINKS = [
    pytest.param(FilledIndex, {}, id="index"),
    pytest.param(FilledMirror, {}, id="mirror"),
    *(pytest.param(FilledViews, {"kinds": (each,)}, id=each) for each in ("sums", "newest", "moving", "fixed")),
]


@pytest.mark.parametrize("actor", [editing, deleting], ids=["edit", "delete"])
@pytest.mark.parametrize(("kind", "more"), SINKS)
def test_a_first_fill_and_a_live_write_into_each_of_the_others_calls(kind, more, actor):
    play_every(race(kind, HELD, [actor, fill], **more), deep(1))


@pytest.mark.slow
@pytest.mark.parametrize("kind", [FilledIndex, FilledMirror])
def test_two_first_fills_and_a_delete_into_each_of_the_others_calls(kind):
    play_every(race(kind, HELD, [fill, fill, deleting]), deep(1))


@pytest.mark.parametrize("branch", ["derive-filled", "index-filled", "mirror-filled"])
def test_an_empty_branch_is_filled_beside_the_stream_at_random(branch):
    play(BRANCHES[branch], seeds(20))
