"""A client that goes away in mid-request leaves no traceback; a handler's own error does."""

import socket
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler

import pytest

from local.loopback import LoopbackServer


class Broken(BaseHTTPRequestHandler):
    def do_GET(self):
        raise RuntimeError("a bug in the handler")


@pytest.fixture
def port():
    server = LoopbackServer(Broken)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def said(capfd, wanted):
    text = ""
    for _ in range(200):
        text += capfd.readouterr().err
        if wanted in text:
            break
        time.sleep(0.01)
    return text


def test_a_reset_connection_is_no_error(port, capfd):
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.sendall(b"GET / HT")
    time.sleep(0.2)
    assert capfd.readouterr().err == ""


def test_a_handlers_own_error_is_shown(port, capfd):
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        client.recv(100)
    assert "a bug in the handler" in said(capfd, "a bug in the handler")
