"""A request to OpenSearch, over real sockets: what arrives there, and what becomes of every way it can fail."""

import base64
import gzip
import json
import ssl
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from opensearchpy.exceptions import ConnectionError
from urllib3 import HTTPResponse

from distributary.errors import ConfigError, Unavailable
from distributary.index.opensearch import credentials
from distributary.index.opensearch.bulk_errors import UNKNOWN_HOST, UNTRUSTED, Refused
from distributary.index.opensearch.connect import connect
from distributary.index.opensearch.credentials import Basic, Signed, Unsigned
from distributary.index.opensearch.http import Wire, trusting

ITEMS = {"items": [{"index": {"status": 201}}]}
BODY = b'{"index":{}}\n{"a":1}\n' * 100


@contextmanager
def serving(answer, context=None):
    """A server on a loopback port; `answer(handler)` says what it sends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            self.server.seen.append(
                (self.path, dict(self.headers), self.rfile.read(int(self.headers["Content-Length"])))
            )
            answer(self)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.seen, server.daemon_threads = [], True
    server.handle_error = lambda *_: None
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def saying(status, body, length=None):
    text = body if isinstance(body, bytes) else json.dumps(body).encode()

    def answer(handler):
        handler.send_response(status)
        handler.send_header("Content-Length", str(length or len(text)))
        handler.end_headers()
        handler.wfile.write(text)
        handler.close_connection = length is not None

    return answer


def address(server, scheme="http", host="127.0.0.1"):
    return f"{scheme}://{host}:{server.server_port}"


def bulk(server, seconds=5.0, given=None):
    return Wire(address(server), given or Unsigned()).bulk(body=BODY, request_timeout=seconds)


def refused(server, seconds=5.0):
    with pytest.raises(Refused) as caught:
        bulk(server, seconds)
    return caught.value


def test_a_request_is_compressed_ndjson_that_asks_for_little():
    with serving(saying(200, ITEMS)) as server:
        assert bulk(server) == ITEMS
    ((path, headers, body),) = server.seen
    assert path == "/_bulk?filter_path=items.%2A.status%2Citems.%2A.error"
    assert (headers["Content-Type"], headers["Content-Encoding"]) == ("application/x-ndjson", "gzip")
    assert len(body) < len(BODY) / 5
    assert gzip.decompress(body) == BODY


def test_documents_are_asked_for_as_json_over_the_same_connections():
    docs = {"docs": [{"_id": "a", "found": False}], "took": 1}
    with serving(saying(200, docs)) as server:
        wire = Wire(address(server), Unsigned())
        assert wire.get_many(body=b'{"docs": []}', request_timeout=5) == {"docs": docs["docs"]}
    ((path, headers, body),) = server.seen
    assert (path, headers["Content-Type"]) == ("/_mget", "application/json")
    assert gzip.decompress(body) == b'{"docs": []}'


def test_a_connection_is_used_again():
    with serving(saying(200, ITEMS)) as server:
        ports = []
        original = server.finish_request
        server.finish_request = lambda request, client: (ports.append(client), original(request, client))
        wire = Wire(address(server), Unsigned())
        for _ in range(3):
            wire.bulk(body=BODY, request_timeout=5)
    assert len(server.seen) == 3
    assert len(ports) == 1


def test_another_status_is_refused_with_opensearch_s_type():
    said = {"error": {"type": "rejected_execution_exception", "reason": "sentinel"}, "status": 429}
    with serving(saying(429, said)) as server:
        error = refused(server)
    assert (error.status_code, error.kind) == (429, "rejected_execution_exception")
    assert "sentinel" in error.detail
    assert "sentinel" not in str(error)


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'"x"', b'{"error": "no"}', b"\xff"])
def test_a_proxy_s_own_words_are_a_status_without_a_type(body):
    with serving(saying(502, body)) as server:
        error = refused(server)
    assert (error.status_code, error.kind) == (502, "")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"{}", b"null"])
def test_an_answer_that_is_none_is_no_answer(body):
    with serving(saying(200, body)) as server:
        assert refused(server).status_code == 0


def test_a_half_written_answer_is_no_answer():
    with serving(saying(200, b'{"items": [', length=1000)) as server:
        assert refused(server).status_code == 0


def test_silence_is_no_answer():
    release = threading.Event()
    with serving(lambda handler: release.wait(5)) as server:
        error = refused(server, 0.2)
        release.set()
    assert (error.status_code, error.kind) == (0, "ReadTimeoutError")


def test_a_port_that_nobody_listens_on_is_no_answer():
    with serving(saying(200, ITEMS)) as server:
        pass
    error = refused(server)
    assert error.status_code == 0
    assert error.kind not in (UNKNOWN_HOST, UNTRUSTED)


def test_a_name_that_nobody_knows_is_told_apart():
    with pytest.raises(Refused) as caught:
        Wire("https://search.invalid", Unsigned()).bulk(body=BODY, request_timeout=5)
    assert caught.value.kind == UNKNOWN_HOST


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    """A certificate of its own making for `localhost`, and its file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "certificate.pem"
    file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, file


def over_tls(server, host):
    return Wire(address(server, "https", host), Unsigned()).bulk(body=BODY, request_timeout=5)


def test_a_certificate_of_no_known_authority_is_refused(authority):
    context, _ = authority
    with serving(saying(200, ITEMS), context) as server:
        with pytest.raises(Refused) as caught:
            over_tls(server, "localhost")
    assert caught.value.kind == UNTRUSTED
    assert server.seen == []


def test_a_private_authority_is_named_by_ssl_cert_file_and_the_name_must_fit(authority, monkeypatch):
    context, file = authority
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    with serving(saying(200, ITEMS), context) as server:
        assert over_tls(server, "localhost") == ITEMS
        with pytest.raises(Refused) as caught:
            over_tls(server, "127.0.0.1")
    assert caught.value.kind == UNTRUSTED


def test_certificate_and_name_are_always_verified():
    context = trusting()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname is True


@pytest.mark.parametrize(
    "endpoint", ["http://search.example.com", "http://10.0.0.1:9200", "ftp://x", "search.example.com"]
)
def test_items_are_never_sent_in_the_clear_beyond_this_machine(endpoint):
    with pytest.raises(ConfigError, match="https://"):
        connect(endpoint, "none")


@pytest.fixture
def aws(monkeypatch):
    for name, value in {
        "ACCESS_KEY_ID": "AKIDEXAMPLE",
        "SECRET_ACCESS_KEY": "secret",
        "SESSION_TOKEN": "token",
    }.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


@pytest.mark.parametrize("service", ["es", "aoss"])
def test_a_signature_covers_what_is_sent(aws, service):
    """What the service computes from the request as it arrived is what the function signed."""
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    with serving(saying(200, ITEMS)) as server:
        bulk(server, given=Signed(service))
    ((path, headers, body),) = server.seen
    signed = headers["Authorization"].split("SignedHeaders=")[1].split(",")[0].split(";")
    assert {"host", "x-amz-date", "x-amz-security-token", "x-amz-content-sha256"} <= set(signed)
    assert f"/eu-west-1/{service}/aws4_request" in headers["Authorization"]
    arrived = {name.lower(): value for name, value in headers.items()}
    request = AWSRequest("POST", address(server) + path, data=body, headers={n: arrived[n] for n in signed})
    request.context["timestamp"] = arrived["x-amz-date"]
    auth = SigV4Auth(Credentials("AKIDEXAMPLE", "secret", "token"), service, "eu-west-1")
    canonical = auth.canonical_request(request)
    assert "filter_path=items.%2A.status%2Citems.%2A.error" in canonical
    assert headers["Authorization"].endswith(auth.signature(auth.string_to_sign(request, canonical), request))


def test_without_credentials_or_region_signing_is_refused_at_the_start(monkeypatch):
    class Session:
        region_name = None

        def get_credentials(self):
            return None

    monkeypatch.setattr(credentials.boto3, "Session", Session)
    with pytest.raises(ConfigError, match="AWS credentials"):
        Signed("es")


def basic(name, password):
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


class Vault:
    """A secret that was changed: what a cache still holds, and what is there."""

    def __init__(self, *versions):
        self.versions, self.asked = list(versions), []

    def __call__(self, afresh):
        self.asked.append(afresh)
        if afresh and len(self.versions) > 1:
            self.versions.pop(0)
        return self.versions[0]


def admitting(wanted):
    def answer(handler):
        admitted = handler.headers["Authorization"] == wanted
        saying(200, ITEMS)(handler) if admitted else saying(401, b"Unauthorized")(handler)

    return answer


OLD, NEW = '{"username": "app", "password": "old"}', '{"username": "app", "password": "new"}'


def test_a_password_is_read_again_after_a_401_and_the_request_is_repeated():
    vault = Vault(OLD, NEW)
    with serving(admitting(basic("app", "new"))) as server:
        wire = Wire(address(server), Basic(vault))
        for _ in range(3):
            assert wire.bulk(body=BODY, request_timeout=5) == ITEMS
    assert vault.asked == [False, True]
    assert len(server.seen) == 4


def test_a_password_that_is_wrong_and_unchanged_is_refused_without_another_try():
    with serving(admitting("nobody")) as server:
        with pytest.raises(Refused) as caught:
            Wire(address(server), Basic(Vault(OLD))).bulk(body=BODY, request_timeout=5)
    assert caught.value.status_code == 401
    assert len(server.seen) == 1


def test_two_requests_that_meet_a_401_both_go_on_with_the_new_password():
    vault = Vault(OLD, NEW)
    given = Basic(vault)
    one, other = given("POST", "", b""), given("POST", "", b"")
    assert given.renew(one)
    assert given.renew(other)
    assert vault.asked == [False, True]
    assert not given.renew(given("POST", "", b""))


@pytest.mark.parametrize("text", ["", "sentinel", "[]", '{"username": "app"}', "null"])
def test_a_secret_that_is_no_name_and_password_is_a_wrong_deployment(text):
    with pytest.raises(ConfigError, match="the secret must be JSON") as caught:
        Basic(Vault(text))("POST", "", b"")
    assert "sentinel" not in str(caught.value)


@pytest.mark.parametrize(
    ("arn", "method"),
    [
        ("arn:aws:secretsmanager:eu-west-1:123456789012:secret:search-AbCdEf", "get_secret"),
        ("arn:aws:ssm:eu-west-1:123456789012:parameter/search", "get_parameter"),
    ],
)
def test_the_arn_says_where_the_secret_is(arn, method, monkeypatch):
    from aws_lambda_powertools.utilities import parameters

    seen = []

    def get(name, **options):
        assert options.get("decrypt", False) is (method == "get_parameter"), "a SecureString is ciphertext otherwise"
        seen.append((name, options["force_fetch"]))
        return NEW

    monkeypatch.setattr(parameters, method, get)
    fetch = credentials.secret(arn)
    assert fetch(False) == fetch(True) == NEW
    assert seen == [(arn, False), (arn, True)]


def test_a_secret_that_cannot_be_read_fails_and_says_the_mend(monkeypatch):
    from aws_lambda_powertools.utilities import parameters

    def get(name, **options):
        raise parameters.GetParameterError("AccessDenied")

    monkeypatch.setattr(parameters, "get_secret", get)
    with pytest.raises(Unavailable, match="grant the function's role"):
        credentials.secret("arn:aws:secretsmanager:eu-west-1:1:secret:x")(False)


def test_basic_without_a_secret_is_refused_at_the_start():
    with pytest.raises(ConfigError, match="ARN of the secret"):
        connect("https://search.example.com", "basic")


def test_opensearch_py_verifies_certificates_as_well(authority):
    context, _ = authority
    with serving(saying(200, ITEMS), context) as server:
        client = connect(address(server, "https", "localhost"), "none")
        with pytest.raises(ConnectionError, match="certificate verify failed"):
            client.search(index="users", body={})
    assert server.seen == []


@pytest.mark.parametrize(("left", "connecting"), [(27.0, 3.0), (1.0, 1.0)])
def test_a_connection_is_given_up_long_before_the_answer_is(left, connecting):
    """A name that resolves to an address where nothing answers would take the whole invocation."""
    wire, asked = Wire("http://127.0.0.1:1", Unsigned()), []
    wire._pool.urlopen = lambda *_, timeout: asked.append(timeout) or HTTPResponse(b'{"items": []}', status=200)
    wire.bulk(body=BODY, request_timeout=left)
    assert [(each.connect_timeout, each.read_timeout) for each in asked] == [(connecting, left)]


def test_connections_of_requests_at_once_are_all_used_again():
    together, ports = threading.Barrier(4), set()

    def answer(handler):
        ports.add(handler.client_address)
        together.wait(5)
        saying(200, ITEMS)(handler)

    with serving(answer) as server:
        wire = Wire(address(server), Unsigned())
        for _ in range(3):
            lanes = [threading.Thread(target=wire.bulk, kwargs={"body": BODY, "request_timeout": 5}) for _ in range(4)]
            for each in lanes:
                each.start()
            for each in lanes:
                each.join()
    assert len(ports) == 4


def test_a_client_is_asked_for_private_names_without_opensearch_py():
    """Whoever copies or prints it asks for such names."""
    client = connect("http://127.0.0.1:1", "none")
    assert not hasattr(client, "__deepcopy__")
    assert "_whole" not in vars(client)
