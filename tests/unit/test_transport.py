"""Many calls at once through one thread, over connections that fail in every way that connections fail."""

import errno
import os
import socket
import ssl
import threading
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError, ConnectTimeoutError, CredentialRetrievalError, SSLError
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from bench.transports import certificate
from distributary.consumer.aws import AwsError, classify, code_of
from distributary.consumer.deadline import FOREVER, Deadline
from distributary.consumer.parallel import Parallel
from distributary.dynamodb.client import DynamoDBClient, connect
from distributary.dynamodb.requests import Met, conditional_write
from distributary.dynamodb.steps import Call, Pause, Together
from distributary.dynamodb.transport import Loop
from distributary.errors import ConfigError, Rejected, Unavailable
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.dynamodb_server import (
    HARMLESS,
    PASSING,
    SLOW,
    half,
    hung_up,
    idle_too_long,
    late,
    reset_before,
    serving,
    silent,
    then_too_long_idle,
    throttled,
    twice,
    well,
)

CREDENTIALS = ReadOnlyCredentials("AKIDEXAMPLE", "secret", "session-token")


def item(n, **more):
    return {"id": {"S": f"i{n}"}, "blob": {"B": b"\x00\xff"}, **more}


def put(n, version=1):
    return {
        "TableName": "rows",
        "Item": item(n, v={"N": str(version)}),
        "ConditionExpression": "attribute_not_exists(#v) OR #v < :v",
        "ExpressionAttributeNames": {"#v": "v"},
        "ExpressionAttributeValues": {":v": {"N": str(version)}},
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    }


@pytest.fixture
def table():
    return DynamoDB({"rows": {"id": "S"}})


@pytest.fixture
def server(table):
    with serving(table) as running:
        yield running


@pytest.fixture
def client(server):
    return client_of(server.url)


def client_of(url, connections=8, read_seconds=10.0, **more):
    more = {"jitter": lambda *_: 0.0, "connect_seconds": 5.0, **more}
    return DynamoDBClient(url, "eu-west-1", lambda: CREDENTIALS, connections, read_seconds=read_seconds, **more)


def patience(fault):
    """Seconds that a client waits for an answer that does not come in time."""
    return 0.3 if fault in SLOW else 10.0


def puts(client, many, version=1, deadline=FOREVER):
    return Loop(deadline).run([written(client, n, version) for n in range(many)])


def written(client, n, version=1):
    """One put as steps, with what it met."""
    try:
        yield Call(client, "put_item", put(n, version))
    except AwsError as error:
        return code_of(error)
    return "put"


def test_answers_come_in_order_whatever_order_they_arrive_in(server, client):
    server.faults.extend([HARMLESS[2], *HARMLESS * 3])
    reads = [client.steps("get_item", {"TableName": "rows", "Key": {"id": {"S": f"i{n}"}}}) for n in range(40)]
    assert puts(client, 40) == ["put"] * 40
    assert [answer["Item"]["id"]["S"] for answer in Loop(FOREVER).run(reads)] == [f"i{n}" for n in range(40)]


def test_no_more_requests_are_under_way_than_there_are_connections(server, client):
    def slow(exchange):
        time.sleep(0.05)
        return well(exchange)

    server.faults.extend([slow] * 16)
    assert puts(client, 100) == ["put"] * 100
    assert server.connections == server.most == 8
    assert puts(client, 50, version=2) == ["put"] * 50
    assert server.connections == 8


@pytest.mark.parametrize("fault", HARMLESS, ids=lambda each: each.__name__)
def test_an_answer_is_read_in_whatever_form_it_comes(server, client, fault):
    server.faults.extend([fault] * 40)
    assert puts(client, 20) == ["put"] * 20
    answer = client.get_item(TableName="rows", Key={"id": {"S": "i7"}})
    assert answer == {"Item": item(7, v={"N": "1"})}
    server.faults.extend([fault] * 40)
    assert conditional_write(client.put_item, "PutItem", **put(7)) == Met(False, item(7, v={"N": "1"}))


@pytest.mark.parametrize("fault", PASSING + SLOW, ids=lambda each: each.__name__)
def test_what_may_pass_is_tried_three_times_in_all_also_side_by_side(server, table, fault):
    client = client_of(server.url, read_seconds=patience(fault))
    server.faults.extend([fault] * 2)
    ends = puts(client, 8)
    assert set(ends) <= {"put", "ConditionalCheckFailedException"}
    assert len(table.state["rows"]) == 8
    server.faults.clear()
    server.faults.extend([fault] * 3)
    with pytest.raises(AwsError) as caught:
        client_of(server.url, read_seconds=patience(fault)).put_item(**put(9))
    assert isinstance(classify(caught.value, "PutItem"), Unavailable)
    assert code_of(caught.value) != "ConditionalCheckFailedException"
    assert not server.faults


def test_a_late_answer_is_never_taken_for_another_request_s(server):
    client = client_of(server.url, read_seconds=0.3)
    server.faults.extend([late] * 4)
    assert len(puts(client, 4)) == 4
    reads = [client.steps("get_item", {"TableName": "rows", "Key": {"id": {"S": f"i{n}"}}}) for n in range(4)]
    time.sleep(0.3)
    assert [answer["Item"]["id"]["S"] for answer in Loop(FOREVER).run(reads)] == [f"i{n}" for n in range(4)]


def two_calls(client, n):
    """Time passes between them, in which the connection is idle."""
    yield Call(client, "put_item", put(n))
    time.sleep(0.05)
    answer = yield Call(client, "get_item", {"TableName": "rows", "Key": {"id": {"S": f"i{n}"}}})
    return answer["Item"]["id"]["S"]


@pytest.mark.parametrize("fault", [twice, then_too_long_idle], ids=lambda each: each.__name__)
def test_what_comes_unasked_for_answers_no_request(server, fault):
    client = client_of(server.url, connections=1, attempts=1)
    server.faults.extend([fault] * 3)
    assert Loop(FOREVER).run([two_calls(client, n) for n in range(3)]) == ["i0", "i1", "i2"]


def test_a_connection_that_was_idle_too_long_costs_no_try(server):
    client = client_of(server.url, connections=1, attempts=1)
    server.faults.extend([well, idle_too_long])
    assert Loop(FOREVER).run([two_calls(client, 1)]) == ["i1"]
    assert server.connections == 2


def test_silence_of_one_keeps_no_other_waiting(server):
    client = client_of(server.url, connections=4, read_seconds=2.0)
    puts(client, 4)
    server.faults.append(silent)
    ended = {}

    def one(n):
        yield from written(client, n)
        ended[n] = time.monotonic() - began

    began = time.monotonic()
    Loop(FOREVER).run([one(n) for n in range(30)])
    assert sorted(ended.values())[-2] < 1.9 < max(ended.values())


def test_connections_that_died_in_the_freezer_cost_no_try(server):
    client = client_of(server.url, connections=40, attempts=1)
    puts(client, 40)
    server.hang_up()
    assert puts(client, 40, version=2) == ["put"] * 40


def test_connections_that_die_as_they_are_used_again_cost_no_try(server):
    client = client_of(server.url, connections=8, attempts=1)
    puts(client, 8)
    for version in range(2, 8):
        server.faults.append(reset_before)
        assert puts(client, 8, version) == ["put"] * 8


def test_a_new_connection_that_is_reset_does_cost_a_try(server):
    client = client_of(server.url, attempts=1)
    server.faults.append(reset_before)
    with pytest.raises(AwsError, match="closed"):
        client.put_item(**put(1))


def test_no_steps_begin_after_the_deadline_and_those_that_began_end(server, table):
    client, now = client_of(server.url, connections=1), [0.0]

    def one(n):
        yield Call(client, "put_item", put(n))
        now[0] += 1
        yield Call(client, "put_item", put(n, 2))
        return n

    ends = Loop(Deadline(3.0, clock=lambda: now[0])).run([one(n) for n in range(10)])
    done = [end for end in ends if isinstance(end, int)]
    assert 3 <= len(done) <= 4
    assert all(isinstance(end, Unavailable) for end in ends if not isinstance(end, int))
    assert {row["v"]["N"] for row in table.state["rows"].values()} == {"2"}
    assert len(table.state["rows"]) == len(done)


def test_nothing_is_tried_again_after_the_deadline(server):
    now, asked = [0.0], []

    def slow(exchange):
        asked.append(now[0])
        now[0] += 2
        return throttled(exchange)

    server.faults.extend([slow] * 3)
    ends = puts(client_of(server.url, connections=1), 1, deadline=Deadline(3.0, clock=lambda: now[0]))
    assert ends == ["ThrottlingException"]
    assert asked == [0.0, 2.0]


def test_no_pause_before_a_try_reaches_beyond_the_deadline(server):
    server.faults.extend([throttled] * 3)
    client, began = client_of(server.url, jitter=lambda *_: 5.0), time.monotonic()
    assert puts(client, 1, deadline=Deadline(began + 1.0)) == ["ThrottlingException"]
    assert time.monotonic() - began < 1.0
    assert server.requests == 1


def test_a_call_under_way_ends_within_the_reserve_of_its_deadline(server):
    """Two thirds of it: the rest is for metrics and the response."""
    server.faults.extend([silent] * 3)
    client, began = client_of(server.url), time.monotonic()
    assert puts(client, 3, deadline=Deadline(began + 0.2, reserve=0.3)) == ["ReadTimeoutError"] * 3
    assert 0.4 <= time.monotonic() - began < 5
    assert server.requests == 3


def test_a_call_under_way_is_given_up_with_those_that_wait_for_its_connection(server):
    def waiting():
        yield Pause(0.05)
        return (yield from written(client, 2))

    server.faults.append(silent)
    client, began = client_of(server.url, connections=1), time.monotonic()
    second, first = Loop(Deadline(began + 0.3)).run([waiting(), written(client, 1)])
    assert first == "ReadTimeoutError"
    assert isinstance(second, Unavailable)
    assert server.requests == 1
    assert time.monotonic() - began < 5


def test_a_connection_that_opens_when_the_deadline_comes_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = client_of(f"https://localhost:{listener.getsockname()[1]}", connect_seconds=20.0)
        began = time.monotonic()
        assert puts(client, 1, deadline=Deadline(began + 0.2)) == ["ConnectTimeoutError"]
        assert time.monotonic() - began < 5


@pytest.mark.parametrize("parallel", [True, False], ids=["in threads", "one by one"])
def test_a_method_s_call_ends_within_the_reserve_of_what_it_is_made_for(server, parallel):
    """A branch that makes its calls from threads, or one after the other."""
    server.faults.extend([silent] * 2)
    client, began = client_of(server.url), time.monotonic()
    deadline = Deadline(began + 0.2, reserve=0.3)

    def call(n):
        with pytest.raises(AwsError) as caught:
            client.put_item(**put(n))
        return code_of(caught.value)

    if parallel:
        ends = Parallel(2).run(call, range(2), deadline)
    else:
        with deadline.governs():
            ends = [call(1)]
    assert set(ends) == {"ReadTimeoutError"}
    assert time.monotonic() - began < 5


def test_a_method_s_call_begins_in_the_reserve_but_not_after_it(server):
    """As the confirmation of a message that was sent when the deadline came."""
    client, now = client_of(server.url), time.monotonic()
    with Deadline(now - 0.1, reserve=300.0).governs():
        assert client.put_item(**put(1)) == {}
    with Deadline(now - 0.1, reserve=0.1).governs(), pytest.raises(Unavailable):
        client.put_item(**put(2))
    assert client.put_item(**put(3)) == {}
    assert server.requests == 2


def test_what_steps_do_together_comes_back_in_order_with_its_errors(client):
    def refused(n):
        yield Pause(0.001 * (5 - n))
        raise Rejected(f"no {n}")

    def whole():
        ends = yield Together([refused(0), written(client, 1), refused(2)])
        nothing = yield Together([])
        inner = yield Together([two() for _ in range(3)])
        return [str(end) for end in ends], nothing, inner

    def two():
        return (yield Together([written(client, 7), written(client, 8)]))

    ((ends, nothing, inner),) = Loop(FOREVER).run([whole()])
    assert (ends, nothing) == (["no 0", "put", "no 2"], [])
    assert sorted(end for each in inner for end in each) == ["ConditionalCheckFailedException"] * 4 + ["put"] * 2


def test_throttled_requests_wait_before_they_are_sent_again(server):
    waits = []
    client = client_of(server.url, jitter=lambda low, high: waits.append(high) or 0.01)
    server.faults.extend([throttled] * 2)
    client.put_item(**put(1))
    assert waits == [0.1, 0.2]


def test_an_error_that_is_no_outcome_breaks_off_what_is_under_way(server, client):
    server.faults.append(silent)

    def bug():
        yield Pause(0.05)
        raise ZeroDivisionError

    began = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        Loop(FOREVER).run([written(client, 1), bug()])
    assert time.monotonic() - began < 5
    assert puts(client, 3, version=5) == ["put"] * 3


def test_a_host_that_does_not_exist_is_unavailable():
    client = client_of("http://nowhere.invalid", attempts=1)
    assert puts(client, 2) == ["EndpointConnectionError"] * 2


class Lookups:
    """Replaces `socket.getaddrinfo`, and fails slowly while `fails`."""

    def __init__(self, monkeypatch):
        self.many, self.fails, self._real = 0, True, socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", self)

    def __call__(self, *arguments, **options):
        self.many += 1
        if self.fails:
            time.sleep(0.1)
            raise socket.gaierror(socket.EAI_AGAIN, "again")
        return self._real(*arguments, **options)


def test_a_host_that_is_not_found_is_looked_up_once_for_all(server, monkeypatch):
    lookups = Lookups(monkeypatch)
    client, began = client_of(server.url), time.monotonic()
    assert puts(client, 30) == ["EndpointConnectionError"] * 30
    assert time.monotonic() - began < 0.9
    assert lookups.many == 1
    lookups.fails = False
    time.sleep(max(0.0, began + 1.2 - time.monotonic()))
    assert puts(client, 30) == ["put"] * 30


def test_a_host_that_is_found_no_longer_is_asked_where_it_was(server, monkeypatch):
    lookups = Lookups(monkeypatch)
    lookups.fails = False
    client = client_of(server.url)
    assert puts(client, 10) == ["put"] * 10
    server.hang_up()
    lookups.fails, lookups.many = True, 0
    for version in (2, 3):
        assert puts(client, 10, version) == ["put"] * 10
        server.hang_up()
    assert lookups.many == 1


def test_the_next_address_of_a_host_is_tried(server, monkeypatch):
    client = client_of(server.url, attempts=1)
    address = client._endpoint.address
    (works,) = address.resolve()
    dead = (*works[:4], ("127.0.0.1", 1))
    monkeypatch.setattr(type(address), "resolve", lambda _: [dead, works])
    assert puts(client, 20) == ["put"] * 20


def test_an_address_of_a_family_that_is_not_supported_is_passed_over(server, monkeypatch):
    client = client_of(server.url, attempts=1)
    address = client._endpoint.address
    (works,) = address.resolve()
    real = socket.socket

    def of_the_kernel(family=-1, *arguments, **options):
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        return real(family, *arguments, **options)

    monkeypatch.setattr(socket, "socket", of_the_kernel)
    unsupported = (socket.AF_INET6, *works[1:4], ("::1", works[4][1], 0, 0))
    monkeypatch.setattr(type(address), "resolve", lambda _: [unsupported, works])
    assert puts(client, 20) == ["put"] * 20
    monkeypatch.setattr(type(address), "resolve", lambda _: [unsupported])
    server.hang_up()
    assert puts(client, 2) == ["EndpointConnectionError"] * 2


def test_requests_wait_for_those_under_way_where_no_more_files_may_be_open(server, monkeypatch):
    real, opened = socket.socket, []

    def of_a_process_with_three_left(*arguments, **options):
        if "fileno" in options:  # the server accepts
            return real(*arguments, **options)
        if len(opened) == 3:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
        opened.append(real(*arguments, **options))
        return opened[-1]

    client = client_of(server.url, connections=20, attempts=1)
    (found,) = client._endpoint.address.resolve()
    monkeypatch.setattr("distributary.dynamodb.connection.socket.socket", of_a_process_with_three_left)
    monkeypatch.setattr(type(client._endpoint.address), "resolve", lambda _: [found])
    assert puts(client, 20) == ["put"] * 20
    client._endpoint._idle.clear()
    assert puts(client, 1) == ["EndpointConnectionError"]


def test_credentials_that_are_refused_fail_the_calls_and_nothing_else(server):
    faults = [Unavailable("AssumeRole: AccessDenied"), CredentialRetrievalError(provider="p", error_msg="m")]

    def credentials():
        raise faults[0]

    client = DynamoDBClient(server.url, "eu-west-1", credentials, 4)
    ends = puts(client, 3)
    assert [str(end) for end in ends] == ["AssumeRole: AccessDenied"] * 3
    faults.pop(0)
    assert puts(client, 2) == ["CredentialRetrievalError"] * 2
    assert server.connections == 0


def test_a_transaction_without_an_answer_takes_effect_once(server, client, table):
    server.faults.append(half)
    action = {"Put": {"TableName": "rows", "Item": item(1), "ConditionExpression": "attribute_not_exists(id)"}}
    assert client.transact_write_items(TransactItems=[action]) == {}
    assert table.calls["TransactWriteItems"] == 1
    with pytest.raises(ClientError) as caught:
        client.transact_write_items(TransactItems=[action])
    assert caught.value.response["CancellationReasons"][0]["Code"] == "ConditionalCheckFailed"


def test_threads_use_one_client_at_the_same_time(server):
    client, ends = client_of(server.url, connections=8), {}

    def thread(of):
        ends[of] = [
            end
            for turn in range(5)
            for end in (puts(client, 20, version=of * 10 + turn) if of % 2 else [client.get_item(**read)["Item"]["id"]])
        ]

    puts(client, 20, version=-1)
    read = {"TableName": "rows", "Key": {"id": {"S": "i3"}}}
    server.faults.extend([hung_up, HARMLESS[1], *HARMLESS * 10])
    threads = [threading.Thread(target=thread, args=(of,)) for of in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(20)
    assert all(set(ends[of]) <= {"put", "ConditionalCheckFailedException"} for of in (1, 3, 5))
    assert all(ends[of] == [{"S": "i3"}] * 5 for of in (0, 2, 4))
    assert len({id(each) for each in client._endpoint._idle}) == len(client._endpoint._idle) <= 8


def test_a_large_transaction_is_sent_and_read_in_pieces(server, client):
    big = item(1, text={"S": "é" * 150_000})
    client.put_item(TableName="rows", Item=big)
    assert client.get_item(TableName="rows", Key={"id": {"S": "i1"}})["Item"] == big


@pytest.fixture(scope="module")
def trusted(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def secure(table, trusted):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(trusted, trusted.replace(".pem", ".key"))
    with serving(table, context) as running:
        yield running


LARGE = put(1) | {"Item": item(1, text={"S": "x" * 8_000_000})}
TOO_LARGE = b'{"__type":"com.amazon.coral.validate#ValidationException","message":"Item size has exceeded"}'


@pytest.mark.parametrize(
    ("scheme", "then"), [("http", "stays"), ("http", "ends"), ("http", "resets"), ("https", "stays"), ("https", "ends")]
)
def test_a_refusal_is_heard_while_the_request_is_still_sent(trusted, monkeypatch, scheme, then):
    """The peer reads no more of it, whatever it does with the connection. After a reset, OpenSSL reads no response."""
    monkeypatch.setenv("AWS_CA_BUNDLE", trusted)
    context, kept, accepted = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), [], []
    context.load_cert_chain(trusted, trusted.replace(".pem", ".key"))
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse():
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    if scheme == "https":
                        connection = context.wrap_socket(connection, server_side=True)
                    accepted.append(connection.recv(1000))
                    said = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%b" % (len(TOO_LARGE), TOO_LARGE)
                    connection.sendall(said)
                    kept.append(connection)
                    if then == "resets":
                        connection.close()
                    elif then == "ends":
                        connection.shutdown(socket.SHUT_WR)

        threading.Thread(target=refuse, daemon=True).start()
        client = client_of(f"{scheme}://localhost:{listener.getsockname()[1]}", read_seconds=3.0)
        for _ in range(2):
            with pytest.raises(ClientError) as caught:
                client.put_item(**LARGE)
            assert caught.value.response["Error"]["Code"] == "ValidationException"
        assert len(accepted) == 2
        listener.shutdown(socket.SHUT_RDWR)
    for each in kept:
        each.close()


@pytest.mark.parametrize("name", ["AWS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_certificate_is_trusted_where_the_environment_says_so(secure, trusted, monkeypatch, name):
    monkeypatch.setenv(name, trusted)
    client = client_of(secure.url, connections=20)
    secure.faults.extend([*HARMLESS, reset_before, HARMLESS[2]])
    assert puts(client, 60) == ["put"] * 60
    secure.hang_up()
    assert puts(client, 60, version=2) == ["put"] * 60
    assert client.get_item(TableName="rows", Key={"id": {"S": "i1"}})["Item"]["v"] == {"N": "2"}


@pytest.fixture
def config_file(secure, tmp_path, monkeypatch):
    """Writes AWS's config file; the endpoint is the secure server."""
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ENDPOINT_URL", secure.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    return (tmp_path / "config").write_text


def test_a_certificate_is_trusted_where_the_config_file_says_so(config_file, trusted, monkeypatch):
    config_file(f"[default]\nca_bundle = {trusted}\n[profile bare]\n")
    client = connect("eu-west-1")
    assert isinstance(client, DynamoDBClient)
    assert puts(client, 3) == ["put"] * 3
    monkeypatch.setenv("AWS_PROFILE", "bare")
    assert puts(connect("eu-west-1"), 1) == ["SSLError"]


def test_the_environment_s_certificates_win_over_the_config_file_s(config_file, trusted, tmp_path, monkeypatch):
    config_file(f"[default]\nca_bundle = {tmp_path / 'none'}\n")
    monkeypatch.setenv("AWS_CA_BUNDLE", trusted)
    assert puts(connect("eu-west-1"), 1) == ["put"]


def test_a_bundle_that_can_not_be_read_is_named(config_file, tmp_path):
    for file, content in {"none": None, "empty": ""}.items():
        if content is not None:
            (tmp_path / file).write_text(content)
        config_file(f"[default]\nca_bundle = {tmp_path / file}\n")
        with pytest.raises(ConfigError) as caught:
            connect("eu-west-1")
        assert str(tmp_path / file) in str(caught.value)
        assert "AWS_CA_BUNDLE" in str(caught.value)


def signed_by_an_old_authority(folder):
    """The files of the authority's certificate, of one for `localhost`, and of that one's key."""
    authority, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    name, own = (x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, each)]) for each in ("CA", "localhost"))
    now, day = datetime.now(UTC), timedelta(days=1)
    files = {
        "ca.pem": x509.CertificateBuilder(name, name, authority.public_key(), 1, now - day, now + day).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=False
        ),
        "own.pem": x509.CertificateBuilder(name, own, key.public_key(), 2, now - day, now + day).add_extension(
            x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False
        ),
    }
    pem = serialization.Encoding.PEM
    for file, builder in files.items():
        (folder / file).write_bytes(builder.sign(authority, hashes.SHA256()).public_bytes(pem))
    plain = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "own.key").write_bytes(plain)
    return [str(folder / file) for file in ("ca.pem", "own.pem", "own.key")]


def test_an_authority_is_trusted_as_boto3_trusts_it(table, tmp_path, monkeypatch):
    """From Python 3.13 on, a context refuses by default authorities that do not mark `basicConstraints` as critical, as
    companies' older ones do not. boto3's contexts do not refuse them."""
    default = ssl.create_default_context

    def strict(**options):
        context = default(**options)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    authority, own, key = signed_by_an_old_authority(tmp_path)
    monkeypatch.setenv("AWS_CA_BUNDLE", authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own, key)
    with serving(table, context) as server:
        assert puts(client_of(server.url), 2) == ["put"] * 2


def test_another_certificate_is_refused_at_once(secure):
    client = client_of(secure.url)
    assert puts(client, 1) == ["SSLError"]
    assert secure.requests == 0
    assert secure.connections == 1


def test_a_certificate_for_another_name_is_refused(secure, trusted, monkeypatch):
    monkeypatch.setenv("AWS_CA_BUNDLE", trusted)
    client = client_of(secure.url.replace("localhost", "127.0.0.1"))
    assert puts(client, 1) == ["SSLError"]
    assert secure.requests == 0


@pytest.mark.parametrize("fault", [twice, then_too_long_idle], ids=lambda each: each.__name__)
def test_what_comes_unasked_for_over_tls_answers_no_request(secure, trusted, monkeypatch, fault):
    monkeypatch.setenv("AWS_CA_BUNDLE", trusted)
    client = client_of(secure.url, connections=1, attempts=1)
    secure.faults.extend([fault] * 3)
    assert Loop(FOREVER).run([two_calls(client, n) for n in range(3)]) == ["i0", "i1", "i2"]


def test_a_connection_that_was_closed_in_the_same_loop_costs_no_try(secure, trusted, monkeypatch):
    monkeypatch.setenv("AWS_CA_BUNDLE", trusted)
    client = client_of(secure.url, connections=1, attempts=1)
    secure.faults.extend([hung_up, well] * 3)
    assert Loop(FOREVER).run([two_calls(client, n) for n in range(3)]) == ["i0", "i1", "i2"]


@pytest.mark.parametrize("fault", PASSING + SLOW, ids=lambda each: each.__name__)
def test_the_same_faults_pass_over_tls(secure, trusted, monkeypatch, fault):
    monkeypatch.setenv("AWS_CA_BUNDLE", trusted)
    client = client_of(secure.url, read_seconds=patience(fault))
    secure.faults.append(fault)
    assert set(puts(client, 8)) <= {"put", "ConditionalCheckFailedException"}


def test_a_peer_that_speaks_no_tls_is_unavailable():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

        threading.Thread(target=answer, daemon=True).start()
        client = client_of(f"https://localhost:{listener.getsockname()[1]}", attempts=1)
        assert puts(client, 1) == ["SSLError"]


def test_a_host_that_never_finishes_the_handshake_is_given_up():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://localhost:{listener.getsockname()[1]}"
        client = client_of(url, attempts=1, connect_seconds=0.1)
        assert puts(client, 1) == ["ConnectTimeoutError"]


def test_a_host_that_accepts_no_connection_in_time_is_tried_again():
    """Its queue of one connection is full: what else connects hears nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        filling = [socket.socket() for _ in range(3)]
        for each in filling:
            each.setblocking(False)
            each.connect_ex(listener.getsockname())
        client = client_of(f"http://127.0.0.1:{listener.getsockname()[1]}", connect_seconds=0.2)
        began = time.monotonic()
        with pytest.raises(ConnectTimeoutError):
            client.put_item(**put(1))
        assert time.monotonic() - began >= 0.6
        for each in filling:
            each.close()


def test_a_tls_alert_is_tried_as_often_as_boto3_tries_it(monkeypatch):
    accepted = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer():
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection:
                        accepted.append(connection.recv(4096))
                        connection.sendall(b"\x15\x03\x03\x00\x02\x02\x50")

        threading.Thread(target=answer, daemon=True).start()
        url = f"https://localhost:{listener.getsockname()[1]}"
        with pytest.raises(SSLError):
            client_of(url).put_item(**put(1))
        ours = len(accepted)
        config = Config(retries={"mode": "standard", "total_max_attempts": 3})
        named = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "config": config}
        monkeypatch.setattr("botocore.endpoint.time.sleep", lambda _: None)
        with pytest.raises(SSLError):
            boto3.client("dynamodb", "eu-west-1", endpoint_url=url, **named).put_item(**put(1))
        assert ours == len(accepted) - ours == 3
        listener.shutdown(socket.SHUT_RDWR)
