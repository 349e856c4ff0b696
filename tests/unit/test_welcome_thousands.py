"""Ten thousand users through a stream that is rewound and functions that die: one message each, and the unknown ones
are named."""

from random import Random

import pytest

from distributary.consumer.outcome import Status
from tests.fakes import dynamodb, ses
from tests.fakes.faults import Crash, Faults, crash_after, crash_before, unanswered
from tests.unit.mail import AMPLE, Office, rule, user
from tests.unit.records import change

USERS, BATCH = 10_000, 100


def delivered(office, batch, faults):
    """Until nothing of it fails, from the first failure on, as Lambda does; the parked."""
    parked, left = [], list(batch)
    while left:
        branch = office.branch(faults(office.client, dynamodb), faults(office.mail, ses))
        try:
            ends = branch.apply(left, AMPLE)
        except Crash:
            office.clock += 100
            continue
        parked += [each for each, end in zip(left, ends, strict=True) if end.status is Status.PARKED]
        first = next((at for at, end in enumerate(ends) if end.status is Status.FAILED), len(left))
        left, office.clock = left[first:], office.clock + 40 * (first < len(left))
    return parked


@pytest.mark.slow
def test_ten_thousand_users_get_ten_thousand_messages_but_for_the_unknown():
    random, office = Random(7), Office(rule(max_age_seconds=10**6))
    people = [change(n, user=f"u-{n}", new=user(email={"S": f"{n}@example.com"})) for n in range(USERS)]
    batches = [people[at : at + BATCH] for at in range(0, USERS, BATCH)]
    unknown, crashes = set(), 0
    for at in range(len(batches)):
        effect = random.choice((crash_before, crash_after, unanswered, None, None, None))
        crashes += effect is not None
        faults = Faults({random.randrange(300): effect} if effect else {})
        unknown |= {each.keys["user_id"] for each in delivered(office, batches[at], faults)}
        if at % 10 == 9:
            for again in batches[at - 5 : at + 1]:
                unknown |= {each.keys["user_id"] for each in delivered(office, again, Faults())}
    sent = [to.partition("@")[0] for to in office.sent]
    missing = {f"u-{n}" for n in range(USERS)} - {f"u-{each}" for each in sent}
    assert crashes > 30
    assert len(sent) == len(set(sent))
    assert missing <= unknown
    assert 0 < len(unknown) <= crashes
    assert len(sent) + len(missing) == USERS
