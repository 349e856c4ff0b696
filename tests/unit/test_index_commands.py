"""What runs beside the index function: the step that makes indexes, and the purge."""

import http.server
import json
import socketserver
import threading

import pytest
from opensearchpy.exceptions import RequestError, TransportError

import indexes
import purge
from cli.main import main
from distributary.errors import ConfigError
from distributary.index.document import DELETED_AT
from distributary.index.opensearch import connect, schema
from distributary.index.opensearch import target as declared
from distributary.index.opensearch.bindings import ID
from distributary.index.opensearch.credentials import Unsigned
from indexes import USERS
from tests.fakes.opensearch import OpenSearch
from tests.replaced import replace
from tests.unit.branches import Context

DAY = 86_400
CLOSED = 9
"""A port of this machine that nothing listens at."""
ENVIRONMENT = {
    "PARKING_BUCKET": "distributary-parking",
    "GENERATION": "3",
    "OPENSEARCH_ENDPOINT": "https://search.example.com",
    "OPENSEARCH_SERVICE": "none",
    "OPENSEARCH_SECRET": "none",
    "MARKER_DAYS": "8",
}


@pytest.fixture
def node(monkeypatch):
    """One that both commands find at every endpoint."""
    node = OpenSearch()
    for module in (connect, purge):
        monkeypatch.setattr(module, "connect", lambda *_: node)
    return node


@pytest.fixture
def deployed(node, monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    purge.runtime.cache_clear()
    schema.apply(node, USERS, 3)
    yield node
    purge.runtime.cache_clear()


def test_the_declared_indexes_are_made_with_what_stands_beside_them(node, capsys):
    assert main(["index", "apply", "https://search.example.com", "--service", "none", "--generation", "2"]) == 0
    assert main(["index", "apply", "https://search.example.com", "--service", "none", "--generation", "2"]) == 0
    assert list(node.state["docs"]) == ["users-g2"]
    made, found = capsys.readouterr().out.splitlines()
    assert "made" in made
    assert "found as declared" in found


def test_the_sample_s_template_is_one_that_an_index_can_be_made_of():
    made = schema.definition(USERS, declared.template(USERS))
    assert "folded" in made["settings"]["analysis"]["analyzer"]
    assert made["mappings"]["properties"]["name"]["analyzer"] == "folded"


@pytest.mark.parametrize(("text", "fault"), [("{", "is no JSON"), ("[]", "holds no JSON object")])
def test_a_template_that_is_none_is_named(tmp_path, monkeypatch, text, fault):
    (tmp_path / "users.json").write_text(text)
    monkeypatch.setattr(indexes, "__file__", str(tmp_path / "indexes.py"))
    with pytest.raises(ConfigError, match=f"^users.json {fault}"):
        declared.template(USERS)
    (tmp_path / "users.json").unlink()
    assert declared.template(USERS) == {}


SEVERAL = [USERS, replace(USERS, since=2), replace(USERS, name="people")]


@pytest.mark.parametrize(
    ("found", "name", "loaded"),
    [(SEVERAL, "users", SEVERAL[:2]), (SEVERAL, "people", SEVERAL[2:]), (SEVERAL[:2], None, SEVERAL[:2])],
)
def test_the_declarations_of_one_index_are_loaded(found, name, loaded, monkeypatch):
    monkeypatch.setattr(indexes, "INDEXES", found)
    assert declared.load(name) == loaded


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        (None, "--index is missing: indexes.py declares users, people"),
        ("nobody", "no index is called 'nobody'; indexes.py declares users, people"),
    ],
)
def test_an_index_that_is_not_named_or_not_declared_is_refused(name, fault, monkeypatch):
    monkeypatch.setattr(indexes, "INDEXES", SEVERAL)
    with pytest.raises(ConfigError, match=fault):
        declared.load(name)


def test_a_generation_before_the_first_declaration_has_none():
    with pytest.raises(ConfigError, match="index 'users' has no declaration for generation 1"):
        declared.of([replace(USERS, since=2)], 1)


@pytest.mark.parametrize("missing", ["indexes", "what_it_imports"])
def test_only_a_missing_indexes_py_is_said_to_be_missing(missing, monkeypatch):
    def absent(_):
        raise ModuleNotFoundError(missing, name=missing)

    monkeypatch.setattr(declared, "import_module", absent)
    with pytest.raises(ConfigError if missing == "indexes" else ModuleNotFoundError) as raised:
        declared.load()
    assert ("add functions/index to it" in str(raised.value)) is (missing == "indexes")


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ("bad gateway", "TransportError(400, 'kind')"),
        ({"error": "denied"}, "TransportError(400, 'kind', 'denied')"),
        ({"error": {"reason": "a", "root_cause": None, "caused_by": None}}, "400 kind: a"),
        (
            {"error": {"reason": "a", "root_cause": [{"reason": "b"}], "caused_by": {"reason": "c"}}},
            "400 kind: a; b; c",
        ),
    ],
)
def test_a_refusal_is_one_line_with_each_reason_once(info, said):
    assert declared._refusal(TransportError(400, "kind", info)) == said


def test_a_refusal_names_the_index_and_opensearch_s_own_reason(node, monkeypatch, capsys):
    refused = RequestError(400, "mapper_parsing_exception", {"error": {"reason": "no handler for type [x]"}})

    def refuse(*_):
        raise refused

    monkeypatch.setattr(declared, "apply", refuse)
    assert main(["index", "apply", "https://search.example.com", "--service", "none"]) == 2
    said = capsys.readouterr().err
    assert said == "index 'users-g0': 400 mapper_parsing_exception: no handler for type [x]\n"


def test_an_engine_without_tls_at_an_https_address_is_one_short_line():
    with socketserver.TCPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as plain:
        threading.Thread(target=plain.handle_request, daemon=True).start()
        url = f"https://127.0.0.1:{plain.server_address[1]}"
        with pytest.raises(ConfigError) as found:
            list(declared.make(connect.Client(url, Unsigned()), [USERS], 0))
    assert str(found.value).startswith(f"no TLS connection to {url} (")
    assert len(str(found.value)) < 200


@pytest.mark.parametrize(
    ("url", "cause"),
    [
        (f"http://127.0.0.1:{CLOSED}", "Connection refused"),
        ("http://nowhere.invalid:9200", "the name cannot be resolved"),
    ],
)
def test_an_engine_that_cannot_be_reached_is_one_short_line(url, cause):
    with pytest.raises(ConfigError) as found:
        list(declared.make(connect.Client(url, Unsigned()), [USERS], 0))
    assert str(found.value).startswith(f"nothing answers at {url} ({cause}): start what should listen there")


def test_a_marker_is_purged_on_the_shard_that_it_was_routed_to(deployed, monkeypatch):
    hits = [{"_id": "a", "_seq_no": 4, "_primary_term": 1, "_routing": "tenant"}]
    sent = []

    class Routed:
        indices = deployed.indices

        def search(self, **_):
            return {"hits": {"hits": [] if sent else hits}}

        def bulk(self, *, body, request_timeout):
            sent.append(json.loads(body)["delete"])
            return {"items": [{"delete": {"status": 200}}]}

    monkeypatch.setattr(purge, "connect", lambda *_: Routed())
    assert purge.handler({}, Context())["users"]["Purged"] == 1
    assert (sent[0]["routing"], sent[0]["if_seq_no"], sent[0]["_index"]) == ("tenant", 4, "users-g3-write-2")


def test_the_purge_removes_and_counts_what_is_too_old_in_every_index(deployed, monkeypatch, capsys):
    now = 2_000_000_000.0
    monkeypatch.setattr(purge.time, "time", lambda: now)
    days = {"old": 9, "older": 400, "young": 7}
    docs = deployed.state["docs"]["users-g3"]
    docs |= {id: [1, {DELETED_AT: int(now - each * DAY)}] for id, each in days.items()} | {"alive": [1, {"name": "x"}]}
    assert purge.handler({}, Context()) == {"users": {"Purged": 2, "PurgeConflicts": 0}}
    assert set(docs) == {"young", "alive", ID}, "what the index keeps of its stream stays"
    metrics = next(json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line)
    assert (metrics["Purged"], metrics["PurgeConflicts"], metrics["branch"]) == ([2.0], [0.0], "index")
