"""Permanent bounces and complaints are remembered, all others pass, and nobody's address is told."""

import json

import pytest

from distributary.consumer.deadline import FOREVER
from distributary.errors import Rejected
from distributary.welcome.bounces import suppress
from distributary.welcome.claims import Claims
from distributary.welcome.suppressions import Suppressions, id_of
from tests.fakes.dynamodb import DynamoDB


def bounce(address="ada@example.com", kind="Permanent", name="eventType"):
    return {name: "Bounce", "bounce": {"bounceType": kind, "bouncedRecipients": [{"emailAddress": address}]}}


def complaint(address="eve@example.com"):
    return {"eventType": "Complaint", "complaint": {"complainedRecipients": [{"emailAddress": address}]}}


def event(*notifications):
    texts = [each if isinstance(each, str) else json.dumps(each) for each in notifications]
    return {"Records": [{"EventSource": "aws:sns", "Sns": {"Message": text}} for text in texts]}


@pytest.fixture
def suppressions():
    return Suppressions(DynamoDB({"claims": {"id": "S"}}), "claims", lambda: 1000.0)


def known(suppressions, *addresses):
    rows = Claims(suppressions.client, "claims", 30).find(map(id_of, addresses), FOREVER)
    return {each for each in addresses if id_of(each) in rows}


def test_who_bounced_for_good_or_complained_is_remembered_in_any_case(suppressions):
    suppress(event(bounce(), complaint(), bounce("Bob <bob@example.com>", name="notificationType")), suppressions)
    asked = ("ADA@Example.com", "ada@example.com", "eve@example.com", "bob@example.com", "zoe@example.com")
    assert known(suppressions, *asked) == set(asked[:4])


@pytest.mark.parametrize("kind", ["Transient", "Undetermined"])
def test_a_bounce_that_may_pass_is_not(suppressions, kind):
    suppress(event(bounce(kind=kind), {"eventType": "Delivery"}), suppressions)
    assert suppressions.client.state["claims"] == {}


@pytest.mark.parametrize("wrong", ["no json", "{}", "[]", '{"eventType": "Bounce"}', "7"])
def test_a_notification_that_is_none_of_ses_is_told_after_the_others_are_done(suppressions, wrong):
    with pytest.raises(Rejected, match="1 of 3 notifications are no events of SES"):
        suppress(event(bounce(), wrong, complaint()), suppressions)
    assert len(suppressions.client.state["claims"]) == 2


def test_the_notice_of_a_new_topic_is_no_fault(suppressions):
    notice = "Successfully validated SNS topic for Amazon SES event publishing."
    suppress(event(notice, bounce(), f"{notice}\n"), suppressions)
    assert len(suppressions.client.state["claims"]) == 1


def test_twice_is_once_and_no_address_is_kept_or_told(suppressions, capsys):
    suppress(event(bounce(), bounce()), suppressions)
    suppress(event(bounce()), suppressions)
    assert len(suppressions.client.state["claims"]) == 1
    assert "@" not in repr(suppressions.client.state)
    assert "@" not in capsys.readouterr().out
