"""Mappings that feed each other's streams are at rest only together."""

import pytest

from local.errors import LocalError
from local.esm import quiet
from local.esm.quiet import wait_until_idle
from local.esm.tally import Tally


class Feeding:
    """A mapping over a stream that is a list: a poll reads one record, and a record under way ends `slow` looks later,
    when its function writes to the other's stream."""

    def __init__(self, slow=0):
        self.tally, self.stream, self.other = Tally(), [], None
        self._under_way, self._slow, self._looks = [], slow, 0

    def begin(self, hops):
        self._under_way.append(hops)

    def outstanding(self):
        return len(self._under_way)

    def drained(self, since, quiet_seconds):
        """One look: what was under way may end after the poll, as it may in a mapping's threads."""
        found, self.stream = self.stream[:1], self.stream[1:]
        self._under_way += found
        self.tally.add(read=len(found))
        self._looks += 1
        if self._under_way and self._looks % (self._slow + 1) == 0:
            hops = self._under_way.pop()
            if hops:
                self.other.stream.append(hops - 1)
        return not found and not self._under_way


def pair(slow):
    one, other = Feeding(slow), Feeding(slow)
    one.other, other.other = other, one
    return one, other


@pytest.mark.parametrize("slow", [0, 1, 3])
@pytest.mark.parametrize("hops", [0, 1, 2, 5])
@pytest.mark.parametrize("turned", [False, True])
def test_nothing_is_under_way_or_unread_once_all_are_settled(slow, hops, turned, monkeypatch):
    monkeypatch.setattr(quiet.time, "sleep", lambda _: None)
    one, other = pair(slow)
    (other if turned else one).begin(hops)
    wait_until_idle([one, other], 20)
    assert [each.outstanding() for each in (one, other)] == [0, 0]
    assert [each.stream for each in (one, other)] == [[], []]


def test_what_never_comes_to_rest_is_said():
    one, other = pair(0)
    one.begin(10**9)
    with pytest.raises(LocalError, match="come back for ever"):
        wait_until_idle([one, other], 0.1)
