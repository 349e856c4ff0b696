"""Whatever dies or breaks off, and wherever: with `park` never two messages, with `resend` never none."""

import copy
from functools import partial
from itertools import combinations, product
from threading import Barrier, Thread

import pytest

from distributary.consumer.outcome import Status
from tests.fakes import dynamodb, ses
from tests.fakes.faults import Crash, Faults, broken, crash_after, crash_before, throttled, unanswered
from tests.fakes.interleavings import Interleavings
from tests.unit.mail import AMPLE, Office, rule, user
from tests.unit.records import change

EFFECTS = (crash_before, crash_after, unanswered, broken, throttled)
"""Before a call, after it, and in it: its answer lost, a failure inside the service, a refusal."""

CALLS = 4
"""The look at the suppressed, the claim, the message, the confirmation."""

LEASE = 3600.0
POLICIES = pytest.mark.parametrize("on_unknown", ["park", "resend"])


def delivered(office, faults=None):
    """One delivery by a new execution environment; its outcome, None if it died."""
    wrap = faults or Faults()
    branch = office.branch(wrap(office.client, dynamodb), wrap(office.mail, ses))
    try:
        (end,) = branch.apply([change(0, new=user())], AMPLE)
    except Crash:
        return None
    return end


def settled(office, *faults):
    """Lambda delivers until it is no failure, first through these faults, one a delivery; time passes, so that no lease
    holds for ever."""
    for each in (*faults, *[None] * 6):
        office.clock += 40.0
        end = delivered(office, each)
        if end is not None and end.status is not Status.FAILED:
            return end
    raise AssertionError("never settled")


def check(office, end):
    sent = len(office.sent)
    if office.rules[0].on_unknown == "park":
        assert sent <= 1
        assert sent == 1 or end.status is Status.PARKED, end
        assert end.status is not Status.PARKED or end.cause.startswith("rule 'welcome': unknown")
    else:
        assert sent >= 1
        assert end.status in (Status.APPLIED, Status.SUPERSEDED)


@POLICIES
@pytest.mark.parametrize("at", range(CALLS + 1))
@pytest.mark.parametrize("effect", EFFECTS, ids=lambda effect: effect.__name__)
def test_one_fault_at_any_point(on_unknown, at, effect):
    office = Office(rule(on_unknown=on_unknown))
    check(office, settled(office, Faults({at: effect})))


@POLICIES
def test_any_two_and_any_three_faults_in_deliveries_that_follow_each_other(on_unknown):
    seen = 0
    points = list(product(range(CALLS + 2), EFFECTS))
    for chosen in [*combinations(points, 2), *product(points[:: len(EFFECTS) - 1], repeat=3)]:
        office = Office(rule(on_unknown=on_unknown))
        check(office, settled(office, *(Faults({at: effect}) for at, effect in chosen)))
        seen += 1
    assert seen > 700


def test_with_park_only_a_crash_between_claim_and_confirmation_is_unknown():
    ends = {}
    for at, effect in product(range(CALLS), (crash_before, crash_after)):
        office = Office(rule())
        ends[at, effect.__name__] = settled(office, Faults({at: effect})).status.value
    unknown = {(1, "crash_after"), (2, "crash_before"), (2, "crash_after"), (3, "crash_before")}
    assert {place for place, end in ends.items() if end == "Parked"} == unknown


class State:
    """The claims, the messages and the time, put back to where they were."""

    def __init__(self, office):
        self.office, self._states = office, {}

    def freeze(self):
        state = (self.office.client.state, self.office.mail.state)
        self._states.setdefault(repr(state), copy.deepcopy(state))
        return repr(state)

    def thaw(self, frozen):
        self.office.client.state, self.office.mail.state = copy.deepcopy(self._states[frozen])

    def thawed(self, frozen):
        self.thaw(frozen)
        return self.office


def consumer(office, late, wrap, lives):
    """A program: one delivery; `late` ones run when every lease has ended."""
    office.clock = _START + LEASE * (late or lives)
    branch = office.branch(wrap(office.client, dynamodb), wrap(office.mail, ses))
    (end,) = branch.apply([change(0, new=user())], AMPLE)
    return end.status.value


_START = Office().clock


@POLICIES
@pytest.mark.parametrize("crashes", [0, 1, 2])
@pytest.mark.parametrize("late", [False, True])
def test_two_consumers_in_every_order_never_both_send(on_unknown, crashes, late):
    office = Office(rule(on_unknown=on_unknown, max_age_seconds=10**6))
    state = State(office)
    found = Interleavings(state, [partial(consumer, office, late and n) for n in range(2)], crashes)
    sent = {len(state.thawed(frozen).mail.state) for frozen, _ in found.endings}
    assert max(sent) <= (1 if on_unknown == "park" or not (crashes or late) else 3)
    assert crashes or min(sent) == 1


@POLICIES
def test_eight_consumers_that_race_send_one_message(on_unknown):
    """On real threads, again and again."""
    for _ in range(20):
        office, barrier, ends = Office(rule(on_unknown=on_unknown)), Barrier(8), []

        def run(office=office, barrier=barrier, ends=ends):
            barrier.wait()
            ends.append(delivered(office))

        threads = [Thread(target=run) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(office.sent) == 1
        assert sorted({end.status.value for end in ends} - {"Failed", "Superseded"}) == ["Applied"]


@POLICIES
def test_two_who_take_over_an_unknown_claim_at_once_do_not_both_send(on_unknown):
    office = Office(rule(on_unknown=on_unknown))
    office.branch().claims.take("welcome|user_id=S:u-1", "dead", 30.0)
    office.clock += 100
    state = State(office)
    found = Interleavings(state, [partial(taking_over, office) for _ in range(2)])
    sent = {len(state.thawed(frozen).mail.state) for frozen, _ in found.endings}
    assert sent == {1 if on_unknown == "resend" else 0}


def taking_over(office, wrap, lives):
    branch = office.branch(wrap(office.client, dynamodb), wrap(office.mail, ses))
    (end,) = branch.apply([change(0, new=user())], AMPLE)
    return end.status.value
