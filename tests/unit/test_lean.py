"""The lean client asks and answers as boto3 does, tries again what may pass, and is signed as the service wants it."""

import base64
import json
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import boto3
import botocore.session
import msgspec
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import BotoCoreError, ClientError
from botocore.retries.standard import ThrottledRetryableChecker, TransientRetryableChecker
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.derive import ENVIRONMENT
from bench.mirrors import AWAY, environment
from distributary.consumer import aws as clients
from distributary.consumer.aws import classify
from distributary.consumer.deadline import FOREVER
from distributary.consumer.parallel import Parallel
from distributary.dynamodb.client import DynamoDBClient, connect, decoded, encoded
from distributary.dynamodb.client import clients as lean_clients
from distributary.dynamodb.requests import Met, conditional_write
from distributary.dynamodb.steps import Call
from distributary.dynamodb.transport import Loop
from distributary.errors import Rejected, Unavailable
from distributary.replicate import MultiActive, by_attribute, last_writer
from distributary.replicate.factory import build
from distributary.replicate.settings import ReplicateSettings
from tests.selection import examples

CREDENTIALS = ReadOnlyCredentials("AKIDEXAMPLE", "secret", "session-token")
PUT = {"TableName": "t", "Item": {"id": {"S": "é\n"}, "blob": {"B": b"\x00\xff"}}}


class Service:
    """Answers by a script: pairs of status and body, "drop" for none, seconds for a late one; then with success."""

    def __init__(self):
        self.script, self.requests, self.connections = [], [], set()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                service.requests.append((self.headers, body))
                service.connections.add(self.client_address)
                step = service.script.pop(0) if service.script else (200, {})
                if step == "drop":
                    self.connection.close()
                    self.close_connection = True
                    return
                if isinstance(step, float):
                    time.sleep(step)
                    step = (200, {})
                status, said = step
                text = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()


@pytest.fixture
def service():
    service = Service()
    yield service
    service.server.shutdown()
    service.server.server_close()


@pytest.fixture
def client(service):
    return client_of(service)


def client_of(service):
    return DynamoDBClient(
        service.endpoint, "eu-west-1", lambda: CREDENTIALS, 4, read_seconds=0.2, jitter=lambda *_: 0.0
    )


def refused(code, **more):
    return 400, {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": "why", **more}


def test_it_asks_what_boto3_asks(service, client):
    client.put_item(**PUT)
    theirs = boto3.client(
        "dynamodb", "eu-west-1", endpoint_url=service.endpoint, aws_access_key_id="a", aws_secret_access_key="b"
    )
    theirs.put_item(**PUT)
    (ours_headers, ours), (headers, body) = service.requests
    assert json.loads(ours) == json.loads(body)
    for name in ("X-Amz-Target", "Content-Type"):
        assert ours_headers[name] == headers[name]


def test_its_signature_covers_body_target_and_session(service, client):
    client.put_item(**PUT)
    ((headers, body),) = service.requests
    assert headers["X-Amz-Security-Token"] == "session-token"
    names = ("Content-Type", "X-Amz-Target", "X-Amz-Date", "X-Amz-Security-Token")
    request = AWSRequest("POST", f"{service.endpoint}/", {name: headers[name] for name in names}, body)
    request.context["timestamp"] = headers["X-Amz-Date"]
    signer = SigV4Auth(CREDENTIALS, "dynamodb", "eu-west-1")
    signature = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
    assert headers["Authorization"].endswith(f"Signature={signature}")


def test_binaries_come_as_bytes_and_attributes_of_their_names_as_they_are(service, client):
    text = base64.b64encode(b"\x00\xff").decode()
    item = {"B": {"B": text}, "BS": {"M": {"B": {"S": "no bytes"}, "BS": {"BS": [text]}}}, "n": {"N": "1"}}
    service.script = [(200, {"Item": item}), (200, {"Responses": {"t": [item]}, "UnprocessedKeys": {}})]
    right = {
        "B": {"B": b"\x00\xff"},
        "BS": {"M": {"B": {"S": "no bytes"}, "BS": {"BS": [b"\x00\xff"]}}},
        "n": {"N": "1"},
    }
    assert client.get_item(TableName="t", Key={})["Item"] == right
    assert client.batch_get_item(RequestItems={})["Responses"] == {"t": [right]}


def test_a_refusal_is_boto3_s_with_the_item_that_the_condition_met(service, client):
    service.script = [refused("ConditionalCheckFailedException", Item={"blob": {"B": "AA=="}})]
    assert conditional_write(client.put_item, "PutItem", **PUT) == Met(False, {"blob": {"B": b"\x00"}})
    assert len(service.requests) == 1


@pytest.mark.parametrize(
    ("code", "kind"), [("ValidationException", Rejected), ("ResourceNotFoundException", Unavailable)]
)
def test_what_will_never_pass_is_not_tried_again(service, client, code, kind):
    service.script = [refused(code)]
    with pytest.raises(ClientError) as caught:
        client.put_item(**PUT)
    assert type(classify(caught.value, "PutItem")) is kind
    assert len(service.requests) == 1


PASSING = [
    refused("ProvisionedThroughputExceededException"),
    refused("ThrottlingException"),
    (500, {}),
    (503, b"<html>"),
    (429, b""),
    (200, b"<html>"),
    (200, b"[]"),
    (200, b'{"Item": {"id": {"B": "abcde"}}}'),
    "drop",
]


@pytest.mark.parametrize("fault", PASSING, ids=repr)
def test_what_may_pass_is_tried_three_times_in_all(service, client, fault):
    service.script = [fault, fault]
    assert client.put_item(**PUT) == {}
    service.requests.clear()
    service.script = [fault] * 3
    with pytest.raises(clients.AwsError) as caught:
        client_of(service).put_item(**PUT)
    assert type(classify(caught.value, "PutItem")) is Unavailable
    assert len(service.requests) == 3


def test_a_success_that_is_no_answer_fails_its_own_call_only(service, client):
    service.script = [(200, b"<html>")] * 3

    def one():
        try:
            return (yield Call(client, "put_item", PUT))
        except clients.AwsError as error:
            return type(classify(error, "PutItem"))

    assert Loop(FOREVER).run([one()]) == [Unavailable]
    assert len(service.requests) == 3
    service.script = [(200, b"\xff")] * 2
    assert Loop(FOREVER).run([one() for _ in range(4)]) == [{}] * 4


MODEL = botocore.session.get_session().get_service_model("dynamodb")
PASSING_CODES = {
    *TransientRetryableChecker._TRANSIENT_ERROR_CODES,
    *ThrottledRetryableChecker._THROTTLED_ERROR_CODES,
    *(shape.name for shape in MODEL.error_shapes if shape.metadata.get("retryable") is not None),
}


def test_the_codes_that_are_tried_again_are_botocore_s(service, client):
    assert "ReplicatedWriteConflictException" in PASSING_CODES
    for code in PASSING_CODES:
        service.script = [refused(code)]
        assert client.put_item(**PUT) == {}, code


def test_an_answer_that_is_too_late_is_tried_again_on_another_connection(service, client):
    service.script = [0.5]
    assert client.put_item(**PUT) == {}
    assert len(service.connections) == 2


def test_nobody_at_the_address_is_unavailable():
    client = DynamoDBClient("http://127.0.0.1:1", "eu-west-1", lambda: CREDENTIALS, 1, jitter=lambda *_: 0.0)
    with pytest.raises(clients.AwsError) as caught:
        client.put_item(**PUT)
    assert str(classify(caught.value, "PutItem")) == "PutItem: EndpointConnectionError"


def test_a_connection_that_was_closed_while_the_function_slept_is_not_used(service, client):
    client.put_item(**PUT)
    service.server.shutdown()
    service.server.server_close()
    other = ThreadingHTTPServer(service.server.server_address, service.server.RequestHandlerClass)
    threading.Thread(target=other.serve_forever, args=(0.01,), daemon=True).start()
    try:
        assert client.put_item(**PUT) == {}
    finally:
        other.shutdown()
        other.server_close()


def test_connections_are_kept_and_as_many_as_there_are_calls_at_once(service, client):
    service.script = [0.1] * 4
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: client.put_item(**PUT), range(40)))
    assert len(service.connections) == 4


def test_what_json_has_no_form_for_is_named(client):
    with pytest.raises(TypeError, match="holds no complex"):
        client.put_item(TableName="t", Item={"id": {"N": 1j}})


TEXTS = st.text() | st.text('aB\ud800\U0001f600\x00\u2028"\\')
VALUES = st.recursive(
    st.builds(lambda text: {"S": text}, TEXTS)
    | st.builds(lambda each: {"B": each}, st.binary())
    | st.builds(lambda each: {"BS": each}, st.lists(st.binary(), min_size=1))
    | st.just({"NULL": True}),
    lambda inner: (
        st.builds(lambda each: {"L": each}, st.lists(inner))
        | st.builds(lambda each: {"M": each}, st.dictionaries(TEXTS, inner))
    ),
)


@settings(max_examples=examples(60))
@given(st.dictionaries(TEXTS, VALUES))
def test_dynamodb_json_is_what_json_says_it_is(item):
    """Also what no text in UTF-8 may hold: the service has to refuse it."""

    def plain(content):
        if isinstance(content, bytes):
            return base64.b64encode(content).decode()
        if isinstance(content, list):
            return [plain(each) for each in content]
        return {name: plain(each) for name, each in content.items()} if isinstance(content, dict) else content

    for content in (encoded({"Item": item}), json.dumps(plain({"Item": item})).encode()):
        assert json.loads(content) == plain({"Item": item})
        assert decoded(content) == {"Item": item}


def test_an_attribute_s_own_bytes_are_sent_as_they_are():
    image = {"a": msgspec.Raw(b'{"S":"\\u00e9"}'), "b": types.MappingProxyType({"B": b"x"})}
    assert encoded(image) == b'{"a":{"S":"\\u00e9"},"b":{"B":"eA=="}}'
    image["c"] = {"S": "\ud800"}
    assert json.loads(encoded(image)) == {"a": {"S": "é"}, "b": {"B": "eA=="}, "c": {"S": "\ud800"}}


@pytest.mark.parametrize("rule", [last_writer(), by_attribute()], ids=["whole", "merged"])
def test_a_replica_in_several_regions_is_written_by_it(monkeypatch, rule):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    regions = ("us-east-1", AWAY, "ap-south-1")
    given = {**ENVIRONMENT, **environment("rows"), "REPLICA_REGION": ",".join(regions[1:])}
    settings = ReplicateSettings.load(given)
    branch = build(MultiActive(regions=regions, rule=rule), settings, lean_clients, Parallel(1), lambda: None)
    rows = [each.rows for each in (branch.home, *branch.others)] if hasattr(branch, "home") else branch.regions
    assert [(type(each.client), each.client.region) for each in rows] == [(DynamoDBClient, each) for each in regions]
    assert [each.client.connections for each in rows] == [100, 350, 350]


def test_behind_a_proxy_it_is_boto3(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    assert isinstance(connect("eu-west-1", 2), DynamoDBClient)
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:3128")
    assert not isinstance(connect("eu-west-1", 2), DynamoDBClient)


@pytest.mark.parametrize(
    ("variable", "endpoint", "lean"),
    [
        ("AWS_ENDPOINT_URL_DYNAMODB", "http://localhost:8000", True),
        ("AWS_ENDPOINT_URL", "http://localhost:8000/", True),
        ("AWS_ENDPOINT_URL", "http://localhost:8000/dynamodb", False),
    ],
)
def test_an_endpoint_of_the_environment_is_used_and_one_with_a_path_by_boto3(monkeypatch, variable, endpoint, lean):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv(variable, endpoint)
    made = connect("eu-west-1", 2)
    assert isinstance(made, DynamoDBClient) is lean
    if lean:
        assert made._endpoint.url == "http://localhost:8000/"


@pytest.mark.parametrize(
    ("region", "fips", "url"),
    [
        ("eu-west-1", "false", "https://dynamodb.eu-west-1.amazonaws.com/"),
        ("cn-north-1", "false", "https://dynamodb.cn-north-1.amazonaws.com.cn/"),
        ("us-gov-west-1", "false", "https://dynamodb.us-gov-west-1.amazonaws.com/"),
        ("us-east-1", "true", "https://dynamodb-fips.us-east-1.amazonaws.com/"),
    ],
)
def test_the_endpoint_is_the_one_of_the_partition_and_of_fips(monkeypatch, region, fips, url):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", fips)
    made = connect(region, 2)
    assert made._endpoint.url == url
    assert made.region == region


@pytest.fixture
def session(monkeypatch):
    """botocore's, with credentials."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    return botocore.session.get_session()


def none_of_boto3(*arguments, **options):
    raise AssertionError("a client of boto3 takes 60 ms to make")


def test_in_every_region_the_endpoint_is_boto3_s_without_its_client(monkeypatch, session):
    partitions = session.get_component("data_loader").load_data("partitions")["partitions"]
    regions = {region for each in partitions for region in each["regions"] if not region.endswith("-global")}
    assert len(regions) > 30
    theirs = {region: session.create_client("dynamodb", region).meta.endpoint_url for region in regions}
    monkeypatch.setattr("distributary.dynamodb.client.client", none_of_boto3)
    assert {region: connect(region, 2, session)._endpoint.url.rstrip("/") for region in regions} == theirs


@pytest.mark.parametrize(
    ("region", "variables", "config"),
    [
        ("us-west-2", {"AWS_USE_FIPS_ENDPOINT": "true"}, ""),
        ("us-west-2", {"AWS_USE_DUALSTACK_ENDPOINT": "true"}, ""),
        ("us-gov-east-1", {"AWS_USE_FIPS_ENDPOINT": "true", "AWS_USE_DUALSTACK_ENDPOINT": "true"}, ""),
        ("fips-us-gov-west-1", {}, ""),
        ("eu-nowhere-7", {}, ""),
        ("aws-global", {}, ""),
        ("local", {}, ""),
        ("eu-west-1", {"AWS_ENDPOINT_URL": "http://127.0.0.1:8000"}, ""),
        ("eu-west-1", {"AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:8001", "AWS_ENDPOINT_URL": "http://x:1"}, ""),
        ("eu-west-1", {"AWS_ENDPOINT_URL_DYNAMODB": "http://x", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, ""),
        ("eu-west-1", {}, "[default]\nendpoint_url = http://127.0.0.1:8002\n"),
        (
            "eu-west-1",
            {},
            "[default]\nservices = s\n[services s]\ndynamodb =\n  endpoint_url = http://127.0.0.1:8003\n",
        ),
        ("eu-west-1", {}, "[default]\nuse_fips_endpoint = true\n"),
        (None, {"AWS_DEFAULT_REGION": "ap-south-2"}, ""),
        (None, {}, "[default]\nregion = sa-east-1\n"),
    ],
)
def test_whatever_is_configured_the_endpoint_is_boto3_s(monkeypatch, tmp_path, session, region, variables, config):
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    for name, value in {**variables, "AWS_CONFIG_FILE": str(tmp_path / "config")}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "config").write_text(config)
    theirs, made = boto3.Session().client("dynamodb", region_name=region).meta, connect(region, 2)
    assert (made._endpoint.url.rstrip("/"), made.region) == (theirs.endpoint_url, theirs.region_name)


@pytest.mark.parametrize(("region", "error"), [(None, "NoRegionError"), ("eu west", "InvalidRegionError")])
def test_a_region_that_is_none_is_refused_as_boto3_does(monkeypatch, tmp_path, session, region, error):
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(BotoCoreError) as caught:
        connect(region, 2)
    assert type(caught.value).__name__ == error


def test_what_no_proxy_names_is_reached_directly(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:3128")
    monkeypatch.setenv("no_proxy", "dynamodb.eu-west-1.amazonaws.com")
    assert isinstance(connect("eu-west-1", 2), DynamoDBClient)
