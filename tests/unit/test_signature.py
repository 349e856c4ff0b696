"""Requests are signed as botocore signs them."""

import string
import threading
from datetime import UTC, datetime
from unittest import mock

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import CredentialRetrievalError
from hypothesis import given, settings
from hypothesis import strategies as st

from distributary.dynamodb.signature import Signature

TEXT = st.text(string.ascii_letters + string.digits + "/+=", min_size=1, max_size=40)
HOST = st.text(string.ascii_lowercase + string.digits + "-.", min_size=1, max_size=40)
CREDENTIALS = st.builds(ReadOnlyCredentials, TEXT, TEXT, st.none() | TEXT)
HEADERS = {"host": "dynamodb.eu-west-1.amazonaws.com", "content-type": "application/x-amz-json-1.0"}
MOMENTS = st.integers(0, 4_000_000_000)


def lines(headers):
    return dict(line.split(": ", 1) for line in headers.decode().split("\r\n")[:-1])


def botocore_s(credentials, region, host, target, body, moment):
    headers = {**HEADERS, "host": host, "X-Amz-Target": target}
    request = AWSRequest("POST", f"https://{host}/", headers, body)
    at = datetime.fromtimestamp(moment, UTC)
    with mock.patch("botocore.auth.get_current_datetime", return_value=at, create=True):
        with mock.patch("botocore.auth.datetime", wraps=None, create=True) as clock:
            clock.datetime.utcnow.return_value = at.replace(tzinfo=None)
            clock.datetime.now.return_value = at
            SigV4Auth(credentials, "dynamodb", region).add_auth(request)
    return request.headers


@settings(max_examples=40)
@given(CREDENTIALS, TEXT, HOST, TEXT, st.binary(max_size=300), MOMENTS)
def test_any_request_is_signed_as_botocore_signs_it(credentials, region, host, target, body, moment):
    theirs = botocore_s(credentials, region, host, target, body, moment)
    ours = lines(
        Signature({**HEADERS, "host": host}, region, lambda: credentials, lambda: moment).headers(target.encode(), body)
    )
    assert ours["Authorization"] == theirs["Authorization"]
    assert ours["x-amz-date"] == theirs["X-Amz-Date"]
    assert ours.get("x-amz-security-token") == theirs.get("X-Amz-Security-Token")


@settings(max_examples=15)
@given(st.lists(st.tuples(CREDENTIALS, MOMENTS), min_size=2, max_size=5))
def test_one_signature_follows_the_clock_and_the_credentials(seconds):
    now = [0, None]
    signature = Signature(HEADERS, "eu-west-1", lambda: now[1], lambda: now[0])
    for credentials, moment in {moment: (each, moment) for each, moment in seconds}.values():
        now[:] = moment, credentials
        theirs = botocore_s(credentials, "eu-west-1", HEADERS["host"], "a.B", b"{}", moment)
        assert lines(signature.headers(b"a.B", b"{}"))["Authorization"] == theirs["Authorization"]


def test_credentials_are_asked_for_once_a_second():
    asked, now = [], [10.0]

    def credentials():
        asked.append(now[0])
        return ReadOnlyCredentials("a", f"secret at {now[0]}", None)

    signature = Signature(HEADERS, "eu-west-1", credentials, lambda: now[0])
    for now[0] in (10.0, 10.4, 10.9, 11.0, 11.2):
        signature.headers(b"a.B", b"{}")
    assert asked == [10.0, 11.0]


def test_a_refresh_that_takes_long_holds_up_one_request_in_half_a_minute():
    """As while AWS STS fails, a quarter of an hour before the credentials expire: botocore tries, and gives what it
    has."""
    asked, now = [], [10.0]

    def credentials():
        asked.append(now[0])
        now[0] += 1.1
        return ReadOnlyCredentials("a", "secret", None)

    signature = Signature(HEADERS, "eu-west-1", credentials, lambda: now[0])
    dates = set()
    while now[0] < 72:
        dates.add(lines(signature.headers(b"a.B", b"{}"))["x-amz-date"])
        now[0] += 0.25
    assert [round(at) for at in asked] == [10, 41]
    assert len(dates) == 60


def test_credentials_are_asked_for_after_the_clock_was_set_back():
    asked, now = [], [1_000_000.0]

    def credentials():
        asked.append(now[0])
        now[0] += 1.1
        return ReadOnlyCredentials("a", "secret", None)

    signature = Signature(HEADERS, "eu-west-1", credentials, lambda: now[0])
    signature.headers(b"a.B", b"{}")
    now[0] = 10.0
    signature.headers(b"a.B", b"{}")
    assert asked == [1_000_000.0, 10.0]


def test_a_request_is_dated_after_a_refresh_not_before():
    now = [10.0]

    def credentials():
        now[0] = 1000.0
        return ReadOnlyCredentials("a", "secret", None)

    signature = Signature(HEADERS, "eu-west-1", credentials, lambda: now[0])
    assert lines(signature.headers(b"a.B", b"{}"))["x-amz-date"] == "19700101T001640Z"


class Failing:
    """Credentials whose renewal fails after `seconds`."""

    def __init__(self, seconds):
        self.seconds, self.asked, self.now = seconds, [], [10.0]

    def __call__(self):
        self.asked.append(round(self.now[0], 1))
        self.now[0] += self.seconds
        raise CredentialRetrievalError(provider="p", error_msg=f"{len(self.asked)}")

    def ask(self, signature):
        with pytest.raises(CredentialRetrievalError) as caught:
            signature.headers(b"a.B", b"{}")
        return str(caught.value)[-1]


@pytest.mark.parametrize(("seconds", "again"), [(0.02, 10.2), (1.1, 22.1), (9.0, 49.0)])
def test_a_refresh_that_fails_is_tried_again_after_a_while(seconds, again):
    """Each request of a batch would wait for another failure. A tenth of the time at most goes into trying."""
    credentials = Failing(seconds)
    signature, heard = Signature(HEADERS, "eu-west-1", credentials, lambda: credentials.now[0]), []
    while len(credentials.asked) < 2:
        heard.append(credentials.ask(signature))
        credentials.now[0] += 0.01
    assert credentials.asked[1] == pytest.approx(again, abs=0.15)
    assert heard[-2:] == ["1", "2"]


def test_a_refresh_that_fails_is_tried_again_after_the_clock_was_set_back():
    credentials = Failing(9.0)
    signature = Signature(HEADERS, "eu-west-1", credentials, lambda: credentials.now[0])
    assert credentials.ask(signature) == "1"
    credentials.now[0] = 1.0
    assert credentials.ask(signature) == "2"


def test_credentials_that_come_after_a_failure_are_used():
    credentials = Failing(0.02)
    good, fails = ReadOnlyCredentials("a", "secret", None), [True]
    signature = Signature(HEADERS, "eu-west-1", lambda: credentials() if fails[0] else good, lambda: credentials.now[0])
    assert credentials.ask(signature) == "1"
    fails[0] = False
    credentials.now[0] += 1.0
    assert signature.headers(b"a.B", b"{}")


def test_threads_that_wait_for_one_failure_do_not_repeat_it():
    credentials, inside, free = Failing(9.0), threading.Event(), threading.Event()
    renewing = threading.Lock()

    def renewed():
        with renewing:  # as botocore's credentials do it
            inside.set()
            free.wait(10)
            return credentials()

    signature, heard = Signature(HEADERS, "eu-west-1", renewed, lambda: credentials.now[0]), []
    threads = [threading.Thread(target=lambda: heard.append(credentials.ask(signature))) for _ in range(5)]
    for each in threads:
        each.start()
    inside.wait(10)
    free.set()
    for each in threads:
        each.join(10)
    assert heard == ["1"] * 5
