"""What arrives at a mail service: moto's and ministack's SES, by recipient, content and count."""

import json
import urllib.request

import boto3
import pytest
from moto import mock_aws
from moto.core import DEFAULT_ACCOUNT_ID
from moto.ses.models import ses_backends

from distributary.welcome.channels import Ses
from distributary.welcome.messages import Content
from tests.unit.mail import Office, rule, user
from tests.unit.records import change

CONTENT = Content("Welcome, {{name}}", "Hello {{name}}!", "<p>Hello {{name}}!</p>")
PEOPLE = {"ada@example.com": "Ada", "zoe@example.com": "Zoë <b>&", "eve@example.com": "Eve\r\nBcc: all@example.com"}
AT = {"region_name": "eu-west-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}
SENDER = "mail-test@example.com"


def moto(_):
    with mock_aws():
        boto3.client("sesv2", **AT).create_email_identity(EmailIdentity="example.com")
        yield Ses(boto3.client("sesv2", **AT), SENDER), in_moto


def ministack(request):
    endpoint = request.getfixturevalue("emulators").aws
    yield Ses(boto3.client("sesv2", endpoint_url=endpoint, **AT), SENDER), lambda: in_ministack(endpoint)


def in_moto():
    sent = ses_backends[DEFAULT_ACCOUNT_ID]["eu-west-1"].sent_messages
    return [(each.destinations["ToAddresses"], each.subject, each.body) for each in sent]


def in_ministack(endpoint):
    with urllib.request.urlopen(f"{endpoint}/_ministack/ses/messages") as answer:
        found = [each for messages in json.load(answer)["messages"].values() for each in messages]
    return [
        (each["To"], each["Subject"], each["BodyText"] or each["BodyHtml"])
        for each in found
        if SENDER in each["Source"]
    ]


@pytest.fixture(params=[moto, ministack], ids=lambda each: each.__name__)
def service(request):
    yield from request.param(request)


def test_each_user_gets_one_message_that_says_what_was_declared(service):
    channel, arrived = service
    office = Office(rule(content={"en": CONTENT}), channel=channel)
    news = [
        change(n, user=f"u-{n}", new=user(email={"S": to}, name={"S": name}))
        for n, (to, name) in enumerate(PEOPLE.items())
    ]
    for batch in (news, news[1:], news):
        ends = office.statuses(*batch)
    messages = arrived()
    assert sorted(to for to, _, _ in messages) == [["ada@example.com"], ["zoe@example.com"]]
    assert ends == ["Superseded", "Superseded", "Parked"], "a name with a line break sends nothing"
    assert {to[0]: subject for to, subject, _ in messages} == {
        "ada@example.com": "Welcome, Ada",
        "zoe@example.com": "Welcome, Zoë <b>&",
    }
    assert any("Hello Ada!" in str(body) for _, _, body in messages)
