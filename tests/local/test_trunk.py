"""What feeds the branches of the local trunk."""

import threading
from types import SimpleNamespace

import pytest

from distributary.trunk.breaker import State
from distributary.trunk.feeder import Fed
from local.esm.tally import Tally
from local.trunk import Trunk


class Feeder:
    """One branch's sink does not answer."""

    def __init__(self):
        self.waiting, self.answers, self.fed = threading.Event(), threading.Event(), threading.Event()

    def run(self, branch, deadline):
        if branch == "index":
            self.waiting.set()
            self.answers.wait(30)
        else:
            self.fed.set()
        return Fed(branch, State.CLOSED, done=2, parked=1)


@pytest.fixture
def trunk(monkeypatch):
    monkeypatch.setattr("local.trunk.FEED_SECONDS", 0.01)
    mapping = SimpleNamespace(stop=lambda seconds: None, tally=Tally())
    running = Trunk(mapping, Feeder(), lambda line: None)
    yield running
    running.feeder.answers.set()
    running.stop()


def test_a_branch_whose_sink_does_not_answer_delays_no_other(trunk):
    trunk.feed(("index", "welcome"))
    assert trunk.feeder.waiting.wait(30)
    trunk.feeder.fed.clear()
    assert trunk.feeder.fed.wait(30)
    assert trunk.fed["welcome"] >= 3
    assert trunk.fed["index"] == 0
