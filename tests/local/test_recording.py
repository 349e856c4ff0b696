"""The proxy that remembers functions' requests and causes faults, before a server that answers as it is told."""

import http.client
import json
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler

import pytest

from local.errors import LocalError
from local.loopback import LoopbackServer
from local.recording.faults import Fault
from local.recording.http import Message
from local.recording.recorded import recording
from local.recording.ring import Exchange, Ring

ALWAYS = [(0, 1e12)]
DYNAMODB = {
    "X-Amz-Target": "DynamoDB_20120810.PutItem",
    "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/dynamodb/aws4_request, Signature=abcdef",
}


class Service(LoopbackServer):
    """Answers with what it got, after `before` it was called; ends each connection after so many requests."""

    def __init__(self):
        self.got, self.requests_each = [], 1000
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                service.got.append((self.path, body))
                self.served = getattr(self, "served", 0) + 1
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                self.close_connection = self.served >= service.requests_each

            def do_GET(self):
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                self.wfile.write(b"3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")

            def do_HEAD(self):
                self.send_response(200)
                self.send_header("Content-Length", "5")
                self.end_headers()

            def log_message(self, *_):
                pass

        super().__init__(Handler)
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def service():
    running = Service()
    yield running
    running.shutdown()
    running.server_close()


@pytest.fixture
def recorded():
    with recording() as running:
        yield running


@pytest.fixture
def connect(service, recorded):
    def through(function):
        given = recorded.through(function, {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{service.server_port}", "X": "y"})
        assert given["X"] == "y"
        return http.client.HTTPConnection(given["AWS_ENDPOINT_URL"].removeprefix("http://"), timeout=10)

    return through


def post(connection, body=b"{}", headers=DYNAMODB):
    connection.request("POST", "/", body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


def test_requests_arrive_as_they_were_sent_and_are_remembered(connect, service, recorded):
    connection = connect("derive")
    assert post(connection, b'{"a": 1}') == (200, b'{"a": 1}')
    assert post(connection, b'{"b": 2}') == (200, b'{"b": 2}')
    assert [body for _, body in service.got] == [b'{"a": 1}', b'{"b": 2}']
    found = recorded.requests(["derive"], ALWAYS)
    assert [each["request"] for each in found] == ['{"a": 1}', '{"b": 2}']
    assert {(each["operation"], each["region"], each["status"]) for each in found} == {("PutItem", "eu-west-1", 200)}


def test_no_signature_is_shown(connect, recorded):
    post(connect("derive"))
    assert "abcdef" not in json.dumps(recorded.requests(["derive"], ALWAYS))


def test_requests_are_found_by_function_time_and_what_they_mention(connect, recorded):
    post(connect("derive"), b'"one"')
    post(connect("index"), b'"one"')
    post(connect("derive"), b'"two"')
    assert [each["request"] for each in recorded.requests(["derive"], ALWAYS, [["two"], ["three"]])] == ['"two"']
    assert len(recorded.requests(["derive", "index"], ALWAYS)) == 3
    assert recorded.requests(["derive"], ALWAYS, [["two", "one"]]) == []
    assert recorded.requests(["derive"], [(0, 1)]) == []
    assert recorded.requests(["welcome"], ALWAYS) == []


def test_answers_in_chunks_and_without_a_body_pass(connect, recorded):
    connection = connect("archive")
    for method, body in (("GET", b"abcde"), ("HEAD", b""), ("GET", b"abcde")):
        connection.request(method, "/bucket/key?x=1")
        assert connection.getresponse().read() == body
    assert [each["answer"] for each in recorded.requests(["archive"], ALWAYS)] == ["abcde", "", "abcde"]
    assert recorded.requests(["archive"], ALWAYS)[0]["operation"] == "GET /bucket/key"


def test_a_client_that_waits_for_leave_to_send_gets_it(connect, service):
    connection = connect("archive")
    connection.request("POST", "/x", b"body", {"Expect": "100-continue"})
    assert connection.getresponse().read() == b"body"
    assert service.got[-1] == ("/x", b"body")


def test_a_body_in_chunks_arrives_whole(recorded, service):
    given = recorded.through("archive", {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{service.server_port}"})
    host, port = given["AWS_ENDPOINT_URL"].removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as raw:
        raw.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        assert raw.recv(1000).startswith(b"HTTP/1.1 200")
    assert recorded.requests(["archive"], ALWAYS)[0]["request"] == "abc"


def test_a_connection_that_the_service_ended_while_idle_costs_no_request(connect, service):
    service.requests_each = 1
    connection = connect("derive")
    for number in range(3):
        body = str(number).encode()
        connection.request("POST", "/", body, DYNAMODB)
        assert connection.getresponse().read() == body
        time.sleep(0.3)  # idle: an end that comes while a request is on its way is the client's to repeat


def test_a_service_behind_tls_is_asked_as_before(recorded):
    given = {"OPENSEARCH_ENDPOINT": "https://search.example.com", "AWS_ENDPOINT_URL": ""}
    assert recorded.through("index", given) == given


def test_throttling_refuses_so_many_requests_of_one_function(connect, service, recorded):
    recorded.fault(Fault("derive", "throttle", 2))
    derive = connect("derive")
    assert [post(derive)[0] for _ in range(3)] == [400, 400, 200]
    assert post(connect("replicate"))[0] == 200
    refused = recorded.requests(["derive"], ALWAYS)[0]
    assert "ProvisionedThroughputExceededException" in refused["answer"]
    assert refused["fault"] == "throttle"
    assert len(service.got) == 2
    assert recorded.faults() == []


def test_a_busy_search_engine_answers_429_and_dynamodb_does_not(connect, recorded):
    recorded.fault(Fault("index", "busy", 1))
    index = connect("index")
    assert post(index)[0] == 200
    assert post(index, headers={})[0] == 429
    assert post(index, headers={})[0] == 200


def test_a_slow_region_delays_its_own_requests_only(connect, recorded):
    recorded.fault(Fault("replicate", "slow", 5, 300, "eu-west-1"))
    post(connect("replicate"))
    other = {**DYNAMODB, "Authorization": "Credential=test/20260101/us-east-1/dynamodb/x"}
    post(connect("replicate"), headers=other)
    slow, fast = (each["milliseconds"] for each in recorded.requests(["replicate"], ALWAYS))
    assert slow >= 300 > fast


@pytest.mark.parametrize(("kind", "arrived"), [("crash before", 1), ("crash after", 2)])
def test_a_function_is_ended_before_or_after_its_nth_request(connect, service, recorded, kind, arrived):
    ended = threading.Event()
    connection = connect("derive")
    recorded.crash = lambda function: (function == "derive" and ended.set(), connection.sock.shutdown(socket.SHUT_RDWR))
    recorded.fault(Fault("derive", kind, 2))
    assert post(connection)[0] == 200
    with pytest.raises((http.client.HTTPException, OSError)):
        post(connection)
    assert ended.wait(10)
    assert len(service.got) == arrived
    assert recorded.requests(["derive"], ALWAYS)[-1]["fault"] == kind


def test_faults_that_are_taken_back_do_not_happen(connect, recorded):
    recorded.fault(Fault("derive", "throttle", 2))
    recorded.fault(Fault("index", "throttle", 1))
    assert [each["function"] for each in recorded.clear("derive")] == ["index"]
    assert post(connect("derive"))[0] == 200


def test_a_fault_that_is_none_is_refused(recorded):
    for wrong in (Fault("derive", "burn", 1), Fault("derive", "slow", 0), Fault("derive", "slow", 1, 10**9)):
        with pytest.raises(LocalError):
            recorded.fault(wrong)


def test_orders_need_the_secret(recorded, connect):
    recorded._secret = "wrong"
    with pytest.raises(LocalError):
        recorded.faults()


def test_memory_of_requests_is_bounded_and_the_newest_stay():
    ring = Ring(size=100_000)
    for number in range(1000):
        asked = Message(b"POST / HTTP/1.1\r\n\r\n", b"x" * 9000)
        ring.add(Exchange(number, "derive", asked, None, 1.0, 2.0))
    kept = ring.find(["derive"], ALWAYS, [], 1000)
    assert [each.number for each in kept] == list(range(991, 1000))


def test_a_compressed_body_is_shown_as_text():
    import gzip

    head = b"POST /_bulk HTTP/1.1\r\nContent-Encoding: gzip\r\n\r\n"
    exchange = Exchange(1, "index", Message(head, gzip.compress(b'{"index": {}}')), None, 1.0, 2.0)
    assert exchange.as_json()["request"] == '{"index": {}}'
    assert exchange.mentions([[b"index"]])
    assert Message(head, b"no gzip").text == b"no gzip"
