"""A region's distance is its own, on each connection alone, and changes nothing of what is said."""

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler

import pytest
from botocore.exceptions import BotoCoreError

from local.aws import Aws
from local.distance import far
from local.errors import LocalError
from local.loopback import LoopbackServer

DELAY = 0.08
CONNECTIONS = 96


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        said = self.rfile.read(int(self.headers["Content-Length"]))
        body = json.dumps({"TableNames": [str(len(said))]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/x-amz-json-1.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def upstream():
    server = LoopbackServer(Echo)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def proxied(upstream):
    with far(upstream, {"eu-west-1": DELAY * 1000}) as address:
        yield address


def seconds(call):
    began = time.monotonic()
    call()
    return time.monotonic() - began


def test_each_request_to_the_far_region_takes_a_round_trip_more(proxied):
    client = Aws.at_emulator(proxied, "eu-west-1").client("dynamodb")
    client.list_tables()
    assert min(seconds(client.list_tables) for _ in range(5)) >= DELAY


def test_a_new_connection_takes_another_for_its_handshake(proxied):
    client = Aws.at_emulator(proxied, "eu-west-1").client("dynamodb")
    assert seconds(client.list_tables) >= 2 * DELAY


def test_the_near_region_is_not_slowed(proxied):
    client = Aws.at_emulator(proxied, "us-east-1").client("dynamodb")
    client.list_tables()
    assert min(seconds(client.list_tables) for _ in range(5)) < DELAY


def test_no_connection_waits_for_another(proxied):
    """Each request still takes its round trip, and all of them together hardly more than one each."""
    clients = [Aws.at_emulator(proxied, "eu-west-1").client("dynamodb") for _ in range(CONNECTIONS // 24)]

    def one(at):
        return seconds(clients[at % len(clients)].list_tables)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(one, range(CONNECTIONS)))
        began = time.monotonic()
        took = list(pool.map(one, range(CONNECTIONS * 4)))
        wall = time.monotonic() - began
    assert min(took) >= DELAY
    assert wall < sum(took) / 16


def test_a_large_body_arrives_whole_and_its_pieces_do_not_wait_for_one_another(proxied):
    """Some sixty pieces: one after the other, they would take more than two seconds."""
    client = Aws.at_emulator(proxied, "eu-west-1").client("dynamodb")
    items = [{"PutRequest": {"Item": {"id": {"S": str(at)}, "text": {"S": "x" * 390_000}}}} for at in range(10)]
    client.list_tables()
    took = min(seconds(lambda: client.batch_write_item(RequestItems={"any": items})) for _ in range(3))
    assert DELAY <= took < 15 * DELAY


def test_what_does_not_listen_is_a_broken_connection():
    with far("http://127.0.0.1:9", {"eu-west-1": 1}) as address:
        client = Aws.at_emulator(address, "eu-west-1").client("dynamodb", attempts=1)
        with pytest.raises(BotoCoreError):
            client.list_tables()


def test_a_proxy_that_does_not_come_up_says_why():
    with pytest.raises(LocalError, match="did not come up"):
        with far("http://127.0.0.1:9", {"x=y": 1}):
            pass
