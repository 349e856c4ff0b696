"""A message is sent by one claimant only, whoever else asks and whenever somebody dies."""

import copy
from functools import partial

import pytest

from distributary.consumer.deadline import FOREVER
from distributary.welcome.claims import Claim, Claims, Found, read
from tests.fakes import dynamodb
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.interleavings import Interleavings

LEASE = 30.0


class Table:
    """The claims, the time, and the messages that went out; it can be put back to where it was."""

    def __init__(self):
        self.client = DynamoDB({"claims": {"id": "S"}})
        self.clock = 1_000.0
        self.sent = []
        self._states = {}

    def claims(self, client=None):
        return Claims(client or self.client, "claims", 30, lambda: self.clock)

    def send_email(self, *, owner):
        self.sent.append(owner)

    def freeze(self):
        state = (self.client.state, self.sent)
        self._states.setdefault(repr(state), copy.deepcopy(state))
        return repr(state)

    def thaw(self, frozen):
        self.client.state, self.sent = copy.deepcopy(self._states[frozen])

    def item(self):
        return self.client.get_item(TableName="claims", Key={"id": {"S": "m"}}).get("Item", {})


@pytest.fixture
def table():
    return Table()


def claimant(table, number, wrap, lives):
    """A program: claims, sends, confirms, as the welcome branch does."""
    claims, owner = table.claims(wrap(table.client, dynamodb)), f"{number}-{lives}"
    claim = claims.take("m", owner, LEASE).claim
    if claim is Claim.GRANTED:
        wrap(table, None).send_email(owner=owner)
        claims.confirm("m", owner, "id")
    return claim.value


@pytest.mark.parametrize("claimants", [2, 3])
@pytest.mark.parametrize("crashes", [0, 1, 2])
def test_in_every_order_and_with_crashes_at_most_one_message_goes_out(table, claimants, crashes):
    programs = [partial(claimant, table, number) for number in range(claimants)]
    found = Interleavings(table, programs, crashes)
    assert found.endings
    for state, _ in found.endings:
        table.thaw(state)
        assert len(table.sent) <= 1
        table.clock += LEASE + 2
        standing = table.claims().take("m", "later", LEASE).claim
        table.clock -= LEASE + 2
        assert (standing, len(table.sent)) in {(Claim.SENT, 1), (Claim.UNKNOWN, 0), (Claim.UNKNOWN, 1)}
        assert crashes or standing is Claim.SENT


def test_a_claim_is_granted_once(table):
    claims = table.claims()
    assert claims.take("m", "a", LEASE).claim is Claim.GRANTED
    assert claims.take("m", "b", LEASE).claim is Claim.SENDING
    assert claims.take("other", "b", LEASE).claim is Claim.GRANTED


def test_a_claimants_own_claim_is_granted_again(table):
    """The SDK may try twice when the first answer is lost."""
    assert table.claims().take("m", "a", LEASE).claim is Claim.GRANTED
    assert table.claims().take("m", "a", LEASE).claim is Claim.GRANTED


@pytest.mark.parametrize("ending", [Claims.give_up, Claims.release])
def test_a_claim_that_is_confirmed_is_ended_no_other_way(table, ending):
    """The response to the confirmation was lost, and its owner takes the send for unknown."""
    table.claims().take("m", "a", LEASE)
    table.claims().confirm("m", "a", "id")
    ending(table.claims(), "m", "a")
    assert table.item()["state"] == {"S": "sent"}


def test_a_claim_that_is_asked_for_twice_is_read_once(table):
    table.claims().take("m", "a", LEASE)
    assert table.claims().find(["m", "x", "m"], FOREVER).keys() == {"m"}
    assert table.client.read_units == 2.0


def test_a_claim_that_is_refused_shows_its_claimant_without_a_read(table):
    table.claims().take("m", "a", LEASE)
    found = table.claims().take("m", "b", LEASE)
    assert (found.claim, found.owner, table.client.read_units) == (Claim.SENDING, "a", 0)


def test_a_claim_that_is_gone_is_nobodys_and_asked_for_again_later(table):
    """It was released between the claimant's write and its look."""
    assert read({}, table.clock).claim is Claim.SENDING
    assert read({}, table.clock, "a").claim is Claim.SENDING


def test_a_claim_whose_lease_ended_is_unknown_and_never_granted(table):
    table.claims().take("m", "a", LEASE)
    table.clock += LEASE + 2
    assert table.claims().take("m", "b", LEASE).claim is Claim.UNKNOWN


def test_a_lease_never_ends_before_its_time(table):
    """It is kept in whole seconds."""
    table.clock = 1_000.9
    table.claims().take("m", "a", LEASE)
    table.clock += LEASE - 0.3
    assert table.claims().take("m", "b", LEASE).claim is Claim.SENDING


def test_a_confirmed_claim_stays_sent(table):
    table.claims().take("m", "a", LEASE)
    table.claims().confirm("m", "a", "message-1")
    table.clock += LEASE + 2
    assert table.claims().take("m", "b", LEASE).claim is Claim.SENT
    assert table.item()["message_id"] == {"S": "message-1"}


def test_a_released_claim_is_granted_to_the_next(table):
    table.claims().take("m", "a", LEASE)
    table.claims().release("m", "a")
    assert table.claims().take("m", "b", LEASE).claim is Claim.GRANTED


def test_a_claim_given_up_is_unknown_at_once(table):
    table.claims().take("m", "a", LEASE)
    table.claims().give_up("m", "a")
    assert table.claims().take("m", "b", LEASE).claim is Claim.UNKNOWN


@pytest.mark.parametrize("change", ["confirm", "release", "give_up"])
def test_nobody_settles_another_claimants_claim(table, change):
    table.claims().take("m", "a", LEASE)
    arguments = ("m", "b", "id") if change == "confirm" else ("m", "b")
    getattr(table.claims(), change)(*arguments)
    assert table.item()["state"] == {"S": "sending"}
    assert table.item()["owner"] == {"S": "a"}


def test_a_service_that_returns_no_item_with_a_failed_condition_is_asked(table):
    class Terse:
        def put_item(self, *, ReturnValuesOnConditionCheckFailure, **arguments):
            return table.client.put_item(**arguments)

        def __getattr__(self, operation):
            return getattr(table.client, operation)

    claims = table.claims(Terse())
    claims.take("m", "a", LEASE)
    claims.confirm("m", "a", "id")
    assert claims.take("m", "b", LEASE).claim is Claim.SENT


def test_a_claim_holds_nothing_of_the_item_and_expires(table):
    table.claims().take("m", "a", LEASE)
    assert set(table.item()) == {"id", "state", "owner", "lease", "sends", "position", "expires_at"}
    assert int(table.item()["expires_at"]["N"]) == 1_000 + 30 * 86_400


def test_a_claim_for_a_message_that_is_sent_once_ever_does_not_expire(table):
    table.claims().take("m", "a", LEASE, expires=False)
    assert "expires_at" not in table.item()


def test_an_open_claim_is_taken_over_after_a_growing_wait(table):
    claims, waits = table.claims(), []
    claims.take("m", "0", LEASE)
    for sends in (1, 2):
        claims.give_up("m", str(sends - 1), sends)
        found = read(table.item(), table.clock)
        waits.append(found.lease - table.clock)
        assert claims.take_over("m", str(sends), LEASE, found).claim is Claim.UNKNOWN
        table.clock = found.lease + 1
        assert claims.take_over("m", str(sends), LEASE, found) == Found(Claim.GRANTED, str(sends), sends + 1)
    assert waits == [30.0, 120.0]


@pytest.mark.parametrize(("asked", "kept"), [("", "first"), ("second", "second")])
def test_a_claim_that_is_taken_over_keeps_its_position_unless_told_another(table, asked, kept):
    table.claims().take("m", "a", LEASE, "first")
    table.clock += 2 * LEASE
    found = table.claims().take("m", "b", LEASE)
    assert table.claims().take_over("m", "b", LEASE, found, asked).claim is Claim.GRANTED
    assert table.item()["position"] == {"S": kept}


def test_a_claim_confirmed_late_is_not_taken_over(table):
    """Its owner is slow: another one finds the lease ended, and then the owner confirms after all."""
    claims = table.claims()
    claims.take("m", "a", LEASE)
    table.clock += LEASE + 2
    found = read(table.item(), table.clock)
    claims.confirm("m", "a", "id")
    assert claims.take_over("m", "b", LEASE, found).claim is Claim.SENT


def test_of_two_that_take_over_what_they_found_one_is_granted(table):
    claims = table.claims()
    claims.take("m", "a", LEASE)
    table.clock += LEASE + 2
    found = read(table.item(), table.clock)
    assert claims.take_over("m", "b", LEASE, found).claim is Claim.GRANTED
    table.clock += LEASE + 2
    assert claims.take_over("m", "c", LEASE, found).claim is Claim.UNKNOWN
