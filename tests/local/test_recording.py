"""Requests that processes make are written down, and a proxy causes faults, before a server that answers as told."""

import contextlib
import gzip
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler

import pytest

from local.errors import LocalError
from local.loopback import LoopbackServer
from local.processes import TETHER
from local.recording.faults import Fault
from local.recording.http import Message
from local.recording.pieces import Exchange, of_process, pieces
from local.recording.recorded import PROCESSES, recording
from local.recording.tap import ANSWERED, ASKED, Notebook

ALWAYS = [(0, 1e12)]
DYNAMODB = {
    "X-Amz-Target": "DynamoDB_20120810.PutItem",
    "Authorization": "AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/dynamodb/aws4_request, Signature=abcdef",
}


class Service(LoopbackServer):
    """Answers with what it got, after `before` it was called; ends each connection after so many requests."""

    def __init__(self):
        self.got, self.requests_each, self.silent = [], 1000, False
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                service.got.append((self.path, body))
                if service.silent:
                    self.close_connection = True
                    return
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
        given = recorded.through(function, {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{service.server_port}"})
        assert str(service.server_port) not in given["AWS_ENDPOINT_URL"], "no fault is to come"
        return http.client.HTTPConnection(given["AWS_ENDPOINT_URL"].removeprefix("http://"), timeout=10)

    return through


def post(connection, body=b"{}", headers=DYNAMODB):
    connection.request("POST", "/", body, headers)
    answer = connection.getresponse()
    return answer.status, answer.read()


CALLER = """
import http.client, os, sys
place = os.environ["AWS_ENDPOINT_URL"].removeprefix("http://")
connection = http.client.HTTPConnection(place, timeout=10)
for number, each in enumerate(sys.argv[1:]):
    method, body, *headers = each.split("|")
    connection.request(method, "/" + str(number), body.encode() or None, dict(h.split("=", 1) for h in headers))
    answer = connection.getresponse()
    print(answer.status, answer.read().decode())
"""


@pytest.fixture
def call(service, recorded, tmp_path):
    """Runs a process of a function, which makes requests; what it printed for each."""
    (tmp_path / "caller.py").write_text(CALLER)

    def run(function, *requests, check=True):
        given = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{service.server_port}", "X": "y"}
        environment = recorded.through(function, given)
        assert environment["X"] == "y"
        command = [sys.executable, "-I", "-S", str(TETHER), str(tmp_path), "caller", *requests]
        process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        run.running.append(process)
        try:
            said, _ = process.stdout.read(), process.wait(20)
        finally:
            process.stdin.close()
            process.stdout.close()
        assert not check or process.returncode == 0
        return said.splitlines()

    run.running = []
    return run


def signed(body, region="eu-west-1", operation="PutItem"):
    scope = f"AWS4-HMAC-SHA256 Credential=test/20260101/{region}/dynamodb/aws4_request, Signature=abcdef"
    return f"POST|{body}|X-Amz-Target=DynamoDB_20120810.{operation}|Authorization={scope}"


def test_requests_arrive_as_they_were_sent_and_are_written_down(call, service, recorded):
    assert call("derive", signed('{"a": 1}'), signed('{"b": 2}')) == ['200 {"a": 1}', '200 {"b": 2}']
    assert [body for _, body in service.got] == [b'{"a": 1}', b'{"b": 2}']
    found = recorded.requests(["derive"], ALWAYS)
    assert [each["request"] for each in found] == ['{"a": 1}', '{"b": 2}']
    assert [each["answer"] for each in found] == ['{"a": 1}', '{"b": 2}']
    assert {(each["operation"], each["region"], each["status"]) for each in found} == {("PutItem", "eu-west-1", 200)}


def test_no_signature_is_shown(call, recorded):
    call("derive", signed("{}"))
    assert "abcdef" not in json.dumps(recorded.requests(["derive"], ALWAYS))


def test_what_is_said_to_other_ports_is_not_written_down(call, service, recorded):
    recorded.through("index", {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    call("derive", signed("{}"))
    assert recorded.requests(["index"], ALWAYS) == []


def test_requests_are_found_by_function_time_and_what_they_mention(call, recorded):
    call("derive", signed("one"), signed("two"))
    call("index", signed("one"))
    assert [each["request"] for each in recorded.requests(["derive"], ALWAYS, [["two"], ["three"]])] == ["two"]
    assert len(recorded.requests(["derive", "index"], ALWAYS)) == 3
    assert recorded.requests(["derive"], ALWAYS, [["two", "one"]]) == []
    assert recorded.requests(["derive"], [(0, 1)]) == []
    assert recorded.requests(["welcome"], ALWAYS) == []


def test_answers_in_chunks_and_without_a_body_are_written_down(call, recorded):
    assert call("archive", "GET|", "HEAD|", "GET|") == ["200 abcde", "200 ", "200 abcde"]
    found = recorded.requests(["archive"], ALWAYS)
    assert [each["answer"] for each in found] == ["abcde", "", "abcde"]
    assert found[0]["operation"] == "GET /0"


def test_a_process_that_ends_without_an_answer_leaves_its_request(call, service, recorded):
    service.silent = True
    call("derive", signed("lost"), check=False)
    (lost,) = recorded.requests(["derive"], ALWAYS)
    assert (lost["request"], lost["status"]) == ("lost", 0)


def test_a_service_behind_tls_is_not_written_down(recorded):
    given = {"OPENSEARCH_ENDPOINT": "https://search.example.com", "AWS_ENDPOINT_URL": ""}
    assert recorded.through("index", given) == given


def test_of_many_processes_the_oldest_are_forgotten(call, recorded):
    call("derive", signed("first"))
    for _ in range(PROCESSES - 1):
        recorded.through("index", {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    assert len(recorded.requests(["derive"], ALWAYS)) == 1
    recorded.through("index", {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"})
    assert recorded.requests(["derive"], ALWAYS) == []
    assert not list(recorded._home.glob("derive-*"))


def test_what_is_written_down_is_bounded_and_the_newest_stays(tmp_path):
    notebook = Notebook(str(tmp_path / "p"), most=50_000)
    for number in range(100):
        body = f"{number:03}".encode() * 1000
        head = f"POST /{number} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        notebook.write(1, ASKED, head + body)
        notebook.write(1, ANSWERED, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 120_000
    found = of_process("derive", tmp_path / "p")
    assert [each.asked.line for each in found] == [f"POST /{number}" for number in range(100 - len(found), 100)]
    assert 10 < len(found) < 40


def test_a_file_that_begins_within_a_conversation_gives_what_is_whole(tmp_path):
    notebook = Notebook(str(tmp_path / "p"))
    notebook.write(7, ANSWERED, b"the rest of an answer")
    notebook.write(7, ASKED, b"the rest of a request")
    notebook.write(7, ASKED, b"POST /x HTTP/1.1\r\nContent-Length: 4\r\n\r\nbo")
    notebook.write(7, ASKED, b"dy")
    notebook.write(7, ANSWERED, b"HTTP/1.1 200 OK\r\nContent-Le")
    notebook.write(7, ANSWERED, b"ngth: 2\r\n\r\nok")
    (found,) = of_process("derive", tmp_path / "p")
    assert (found.asked.body, found.answered.body) == (b"body", b"ok")


def test_a_piece_that_is_half_written_ends_what_is_read():
    whole = b"1 > 5.0 3\nabc"
    assert [each.data for each in pieces(whole + b"1 < 6.0 10\nhalf")] == [b"abc"]
    assert list(pieces(b"no head\n")) == []


def test_throttling_refuses_so_many_requests_of_one_function(call, service, recorded):
    recorded.fault(Fault("derive", "throttle", 2))
    said = call("derive", *[signed("{}")] * 3)
    assert [line[:3] for line in said] == ["400", "400", "200"]
    assert call("replicate", signed("{}")) == ["200 {}"]
    refused = recorded.requests(["derive"], ALWAYS)[0]
    assert "ProvisionedThroughputExceededException" in refused["answer"]
    assert refused["fault"] == "throttle"
    assert len(service.got) == 2
    assert recorded.faults() == []


def test_a_busy_search_engine_answers_429_and_dynamodb_does_not(call, recorded):
    recorded.fault(Fault("index", "busy", 1))
    said = call("index", signed("{}"), "POST|{}", "POST|{}")
    assert [line[:3] for line in said] == ["200", "429", "200"]


def test_a_slow_region_delays_its_own_requests_only(call, recorded):
    recorded.fault(Fault("replicate", "slow", 5, 300, "eu-west-1"))
    call("replicate", signed("{}"), signed("{}", "us-east-1"))
    slow, fast = recorded.requests(["replicate"], ALWAYS)
    assert slow["milliseconds"] >= 300 > fast["milliseconds"]
    assert (slow["fault"], fast["fault"]) == ("slow", "")


@pytest.mark.parametrize(("kind", "arrived"), [("crash before", 1), ("crash after", 2)])
def test_a_function_is_ended_before_or_after_its_nth_request(connect, service, recorded, kind, arrived):
    ended = threading.Event()
    recorded.fault(Fault("derive", kind, 2))
    connection = connect("derive")
    recorded.crash = lambda function: (function == "derive" and ended.set(), connection.sock.shutdown(socket.SHUT_RDWR))
    assert post(connection)[0] == 200
    with pytest.raises((http.client.HTTPException, OSError)):
        post(connection)
    assert ended.wait(10)
    assert len(service.got) == arrived


def test_a_request_that_a_crash_left_without_an_answer_names_the_crash(call, service, recorded):
    doomed = threading.Event()
    recorded.crash = lambda _: doomed.set()
    recorded.fault(Fault("derive", "crash before", 1))
    threading.Thread(target=lambda: doomed.wait(20) and [child.kill() for child in call.running], daemon=True).start()
    call("derive", signed("{}"), check=False)
    (crashed,) = recorded.requests(["derive"], ALWAYS)
    assert (crashed["fault"], crashed["status"]) == ("crash before", 0)
    service.silent = True
    call("derive", signed("{}"), check=False)
    assert [each["fault"] for each in recorded.requests(["derive"], ALWAYS)] == ["crash before", ""]


@pytest.mark.parametrize("first", ["faults", "fault"])
def test_a_look_at_the_faults_beside_a_new_one_does_not_take_it_back(service, recorded, first):
    asked, other = recorded._ask, []
    other_call = (lambda: recorded.fault(Fault("derive", "throttle", 1))) if first == "faults" else recorded.faults

    def ask(order):
        answer = asked(order)
        if order["do"] == first and not other:
            other.append(threading.Thread(target=other_call))
            other[0].start()
            other[0].join(0.5)
        return answer

    recorded._ask = ask
    recorded.faults() if first == "faults" else recorded.fault(Fault("derive", "throttle", 1))
    other[0].join(10)
    place = f"http://127.0.0.1:{service.server_port}"
    assert recorded.through("derive", {"AWS_ENDPOINT_URL": place})["AWS_ENDPOINT_URL"] != place


def test_only_functions_that_a_fault_is_to_come_for_pass_the_proxy(service, recorded):
    renewed = []
    recorded.renew = renewed.append
    place = f"http://127.0.0.1:{service.server_port}"
    given = {"AWS_ENDPOINT_URL": place}
    assert recorded.through("derive", given)["AWS_ENDPOINT_URL"] == place
    recorded.fault(Fault("derive", "throttle", 2))
    recorded.fault(Fault("derive", "slow", 1))
    assert recorded.through("derive", given)["AWS_ENDPOINT_URL"] != place
    assert recorded.through("index", given)["AWS_ENDPOINT_URL"] == place
    recorded.clear("derive")
    assert recorded.through("derive", given)["AWS_ENDPOINT_URL"] == place
    assert renewed == ["derive", "derive"]


def test_a_client_that_waits_for_leave_to_send_gets_it(connect, service, recorded):
    recorded.fault(Fault("archive", "throttle", 9))
    connection = connect("archive")
    connection.request("POST", "/x", b"body", {"Expect": "100-continue"})
    assert connection.getresponse().read() == b"body"
    assert service.got[-1] == ("/x", b"body")


def test_messages_of_every_form_pass_the_proxy(connect, recorded, service):
    recorded.fault(Fault("archive", "throttle", 9))
    connection = connect("archive")
    for method, body in (("GET", b"abcde"), ("HEAD", b""), ("GET", b"abcde")):
        connection.request(method, "/bucket/key?x=1")
        assert connection.getresponse().read() == body
    large = b"x" * 3_000_000
    connection.request("POST", "/x", large)
    assert connection.getresponse().read() == large
    with socket.create_connection((connection.host, connection.port), timeout=10) as raw:
        raw.sendall(b"POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
        assert raw.recv(1000).startswith(b"HTTP/1.1 200")


def test_what_is_no_http_ends_its_connection_and_no_other(connect, recorded):
    recorded.fault(Fault("archive", "throttle", 9))
    connection = connect("archive")
    with socket.create_connection((connection.host, connection.port), timeout=10) as raw:
        raw.sendall(b"POST /x HTTP/1.1\r\nContent-Length: many\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            assert raw.recv(1000) == b""
    assert post(connection, headers={})[0] == 200


def test_a_connection_that_the_service_ended_while_idle_costs_no_request(connect, service, recorded):
    service.requests_each = 1
    recorded.fault(Fault("derive", "busy", 9))
    connection = connect("derive")
    for number in range(3):
        body = str(number).encode()
        connection.request("POST", "/", body, DYNAMODB)
        assert connection.getresponse().read() == body
        time.sleep(0.3)  # idle: an end that comes while a request is on its way is the client's to repeat


def test_faults_that_are_taken_back_do_not_happen(call, recorded):
    recorded.fault(Fault("derive", "throttle", 2))
    recorded.fault(Fault("index", "throttle", 1))
    assert [each["function"] for each in recorded.clear("derive")] == ["index"]
    assert call("derive", signed("{}")) == ["200 {}"]


def test_a_fault_that_is_none_is_refused(recorded):
    for wrong in (Fault("derive", "burn", 1), Fault("derive", "slow", 0), Fault("derive", "slow", 1, 10**9)):
        with pytest.raises(LocalError):
            recorded.fault(wrong)


def test_orders_need_the_secret(recorded):
    recorded._secret = "wrong"
    with pytest.raises(LocalError):
        recorded.faults()


def test_a_compressed_body_is_shown_as_text():
    head = b"POST /_bulk HTTP/1.1\r\nContent-Encoding: gzip\r\n\r\n"
    exchange = Exchange("index", Message(head, gzip.compress(b'{"index": {}}')), None, 1.0, 2.0)
    assert exchange.as_json()["request"] == '{"index": {}}'
    assert exchange.mentions([[b"index"]])
    assert Message(head, b"no gzip").text == b"no gzip"
