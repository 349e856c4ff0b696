"""Who gets an answer from the console's server, and what the answer may hold."""

import pytest
from starlette.testclient import TestClient

from cli.console.guard import MOST_BYTES
from cli.console.mails import Mails
from cli.console.server import STATIC, application
from cli.errors import DeclarationFaults
from distributary.errors import ConfigError

HOST = "127.0.0.1:8123"
TOKEN = "right"


def raising(error):
    def answer(_):
        raise error

    return answer


@pytest.fixture
def done():
    return []


@pytest.fixture
def client(done):
    reads = {
        "/seen": dict,
        "/missing": raising(LookupError("there is no such thing")),
        "/faulty": raising(DeclarationFaults(["views.py: one", "views.py: two"])),
        "/wrong": raising(ConfigError("correct it")),
    }
    writes = {"/do": lambda asked: done.append(asked) or {"said": "done"}}
    app = application(reads, writes, lambda: {"version": 1}, Mails().endpoint, TOKEN, [HOST])
    return TestClient(app, base_url=f"http://{HOST}", headers={"Authorization": f"Bearer {TOKEN}"})


def test_data_needs_the_token(client):
    assert client.get("/api/seen?a=1").json() == {"a": "1"}
    for given in ("", "Bearer", "Bearer ", "Bearer wrong", f"Bearer {TOKEN}x", "Bearer \u00fc".encode()):
        answer = client.get("/api/seen", headers={"Authorization": given})
        assert answer.status_code == 401, given
        assert "link" in answer.json()["error"]


def test_a_token_in_the_address_opens_nothing(client):
    assert client.get(f"/api/seen?token={TOKEN}", headers={"Authorization": ""}).status_code == 401


def test_nothing_is_done_without_the_token(client, done):
    assert client.post("/api/do", json={"x": 1}, headers={"Authorization": ""}).status_code == 401
    assert done == []


def test_another_pages_request_is_refused_even_with_the_token(client, done):
    for origin in ("http://evil.example", "null", f"https://{HOST}", "http://127.0.0.1:9"):
        assert client.post("/api/do", json={}, headers={"Origin": origin}).status_code == 403, origin
        assert client.get("/api/seen", headers={"Origin": origin}).status_code == 403, origin
    assert done == []
    assert client.post("/api/do", json={"x": 1}, headers={"Origin": f"http://{HOST}"}).status_code == 200
    assert done == [{"x": 1}]


def test_a_name_that_points_at_this_machine_is_another_host(client):
    for host in ("evil.example:8123", "127.0.0.1", "127.0.0.1:80", ""):
        assert client.get("/", headers={"Host": host}).status_code == 421, host
        assert client.get("/api/seen", headers={"Host": host}).status_code == 421, host


@pytest.mark.parametrize("path", ["/", "/app.js", "/api/seen", "/api/none", "/nothing"])
def test_every_answer_forbids_what_the_page_does_not_need(client, path):
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    assert headers["cache-control"] == "no-store"


def test_refusals_have_the_same_headers(client):
    refused = client.get("/api/seen", headers={"Authorization": ""})
    assert "default-src 'none'" in refused.headers["content-security-policy"]


def test_what_went_wrong_is_told_in_a_sentence(client):
    assert client.get("/api/missing").json() == {"error": "there is no such thing"}
    assert client.get("/api/wrong").json() == {"error": "correct it"}
    assert client.get("/api/faulty").json() == {"error": "views.py: one; views.py: two"}
    assert client.get("/api/faulty").status_code == 409


def test_a_body_that_is_no_object_or_too_long_does_nothing(client, done):
    assert client.post("/api/do", content=b"[1]").status_code == 400
    assert client.post("/api/do", content=b"{").status_code == 400
    assert client.post("/api/do", content=b" " * (MOST_BYTES + 1)).status_code == 413
    assert client.post("/api/do", content=(b" " * 1024 for _ in range(2000))).status_code == 400
    assert done == []


def test_reading_changes_nothing_and_writing_is_no_link(client, done):
    assert client.get("/api/do").status_code in (404, 405)
    assert client.post("/api/seen", json={}).status_code in (404, 405)
    assert done == []


def test_pages_come_from_the_package_and_from_nowhere_else(client):
    for path in ("/../pages.py", "/%2e%2e/pages.py", "/..%2fpages.py", "//etc/passwd"):
        assert client.get(path).status_code in (404, 405), path


@pytest.mark.parametrize("file", sorted(STATIC.iterdir()), ids=lambda file: file.name)
def test_no_page_asks_another_host_or_makes_markup_of_text(file):
    text = file.read_text()
    text = text.replace("http://www.w3.org/2000/svg", "")
    for word in (
        "http:",
        "https:",
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "srcdoc",
    ):
        assert word not in text, word
    assert " style=" not in text
    assert "javascript:" not in text
