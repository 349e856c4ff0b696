"""An item's changes are served in order, and every change of a batch keeps its place."""

from distributary.consumer.outcome import APPLIED, IGNORED, Status
from distributary.consumer.per_item import per_item
from distributary.errors import Unavailable
from tests.unit.records import change


def changes(*users):
    return [change(at, user=user) for at, user in enumerate(users, 1)]


def test_an_item_s_changes_are_served_together_and_in_order():
    batch, served = changes("a", "b", "a", "c", "b"), []

    def serve(places):
        served.append(places)
        return [APPLIED if place % 2 else IGNORED for place in places]

    ends = per_item(batch, [0, 1, 2, 4], lambda groups: [*map(serve, groups)])
    assert sorted(served) == [[0, 2], [1, 4]]
    assert ends == {0: IGNORED, 1: APPLIED, 2: IGNORED, 4: IGNORED}


def test_what_stops_one_item_fails_its_changes_and_no_other():
    def serve(groups):
        return [Unavailable("busy") if 0 in places else [APPLIED] * len(places) for places in groups]

    ends = per_item(changes("a", "b", "a"), range(3), serve)
    assert [ends[at].status for at in range(3)] == [Status.FAILED, Status.APPLIED, Status.FAILED]
    assert ends[0].cause == "busy"
