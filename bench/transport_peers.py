"""Ways to send many conditional writes: each sends a number of equal ones, and returns once all were answered."""

import io
import selectors
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config
from botocore.credentials import ReadOnlyCredentials

from distributary.consumer.deadline import FOREVER
from distributary.consumer.parallel import Parallel
from distributary.dynamodb.client import DynamoDBClient

Send = Callable[[int], None]
REGION = "eu-west-1"
KEYS = ReadOnlyCredentials("AKIDEXAMPLE", "secret", "session-token")
TARGET = "DynamoDB_20120810.PutItem"
TYPE = "application/x-amz-json-1.0"
NAMES = {"ConditionExpression": "attribute_not_exists(#v) OR #v < :v", "ExpressionAttributeNames": {"#v": "version"}}


def arguments(size: int) -> dict[str, Any]:
    """Of one PutItem whose item has about so many bytes, in 20 attributes."""
    item = {"id": {"S": "user-1"}} | {f"attribute_{n}": {"S": "x" * (size // 20 - 16)} for n in range(20)}
    return {"TableName": "t", "Item": item, **NAMES, "ExpressionAttributeValues": {":v": {"S": "1" * 40}}}


def loop(url: str, _: str, connections: int, asked: dict[str, Any]) -> Send:
    """`dynamodb.transport`: one thread, from arguments to answers."""
    from distributary.dynamodb.transport import Loop

    client = DynamoDBClient(url, REGION, lambda: KEYS, connections)

    def send(many: int) -> None:
        ends = Loop(FOREVER).run([client.steps("put_item", asked) for _ in range(many)])
        assert ends == [{}] * many, ends

    return send


def threads(url: str, _: str, connections: int, asked: dict[str, Any]) -> Send:
    """`dynamodb.client` called from as many threads as there are connections."""
    client, parallel = DynamoDBClient(url, REGION, lambda: KEYS, connections), Parallel(connections)

    def send(many: int) -> None:
        parallel.run(lambda _: client.put_item(**asked), range(many), FOREVER)

    return send


def boto(url: str, trusted: str, connections: int, asked: dict[str, Any]) -> Send:
    """boto3 from as many threads as there are connections."""
    session = boto3.Session(KEYS.access_key, KEYS.secret_key, KEYS.token, REGION)
    config = Config(max_pool_connections=connections)
    client = session.client("dynamodb", endpoint_url=url, verify=trusted, config=config)
    pool = ThreadPoolExecutor(connections)

    def send(many: int) -> None:
        list(pool.map(lambda _: client.put_item(**asked), range(many)))

    return send


def boto_in_turn(url: str, trusted: str, _: int, asked: dict[str, Any]) -> Send:
    """boto3, one call after the other."""
    session = boto3.Session(KEYS.access_key, KEYS.secret_key, KEYS.token, REGION)
    client = session.client("dynamodb", endpoint_url=url, verify=trusted)

    def send(many: int) -> None:
        for _ in range(many):
            client.put_item(**asked)

    return send


def curl(url: str, trusted: str, connections: int, asked: dict[str, Any]) -> Send:
    """libcurl's multi interface on sockets, and its own signature. http://pycurl.io/docs/latest/"""
    import pycurl

    from distributary.dynamodb.client import _body

    multi, selector = pycurl.CurlMulti(), selectors.DefaultSelector()
    timeout: list[float] = [0.0]

    def watch(what: int, fd: int, *_: Any) -> None:
        if what == pycurl.POLL_REMOVE:
            selector.unregister(fd)
            return
        events = {pycurl.POLL_IN: 1, pycurl.POLL_OUT: 2, pycurl.POLL_INOUT: 3}[what]
        change = selector.modify if fd in selector.get_map() else selector.register
        change(fd, events)

    multi.setopt(pycurl.M_SOCKETFUNCTION, watch)
    multi.setopt(pycurl.M_TIMERFUNCTION, lambda ms: timeout.__setitem__(0, ms / 1000))
    multi.setopt(pycurl.M_MAXCONNECTS, connections)

    def handle() -> Any:
        each = pycurl.Curl()
        each.setopt(pycurl.URL, url)
        each.setopt(pycurl.CAINFO, trusted)
        each.setopt(pycurl.AWS_SIGV4, f"aws:amz:{REGION}:dynamodb")
        each.setopt(pycurl.USERPWD, f"{KEYS.access_key}:{KEYS.secret_key}")
        headers = [f"X-Amz-Target: {TARGET}", f"Content-Type: {TYPE}", f"X-Amz-Security-Token: {KEYS.token}", "Expect:"]
        each.setopt(pycurl.HTTPHEADER, headers)
        return each

    handles = [handle() for _ in range(connections)]

    def begin(each: Any) -> None:
        each.into = io.BytesIO()
        each.setopt(pycurl.POSTFIELDS, _body("PutItem", asked))
        each.setopt(pycurl.WRITEFUNCTION, each.into.write)
        multi.add_handle(each)

    def send(many: int) -> None:
        begun, answered = min(many, connections), 0
        for each in handles[:begun]:
            begin(each)
        while answered < many:
            ready = selector.select(max(0.0, timeout[0]) if timeout[0] >= 0 else 1.0)
            if not ready:
                multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)
            for key, _ in ready:
                multi.socket_action(key.fd, 0)
            _, good, bad = multi.info_read()
            assert not bad, bad
            for each in good:
                assert each.getinfo(pycurl.RESPONSE_CODE) == 200
                answered += 1
                multi.remove_handle(each)
                if begun < many:
                    begin(each)
                    begun += 1

    return send


def crt(url: str, trusted: str, connections: int, asked: dict[str, Any]) -> Send:
    """AWS's C client and signer. https://awslabs.github.io/aws-crt-python/"""
    from awscrt import auth, http
    from awscrt import io as crt_io

    from distributary.dynamodb.client import _body

    place = urlsplit(url)
    bootstrap = crt_io.ClientBootstrap(*(lambda group: (group, crt_io.DefaultHostResolver(group)))(
        crt_io.EventLoopGroup(1)))  # fmt: skip
    options = crt_io.TlsContextOptions()
    options.override_default_trust_store_from_path(None, trusted)
    tls = crt_io.ClientTlsContext(options).new_connection_options()
    tls.set_server_name("localhost")
    made = [
        http.HttpClientConnection.new(place.hostname, place.port, bootstrap, tls_connection_options=tls)
        for _ in range(connections)
    ]
    opened = [each.result() for each in made]
    provider = auth.AwsCredentialsProvider.new_static(KEYS.access_key, KEYS.secret_key, KEYS.token)

    def send(many: int) -> None:
        left, done, lock = [many], threading.Event(), threading.Lock()
        answers = [0]

        def next_on(connection: Any) -> None:
            with lock:
                if not left[0]:
                    return
                left[0] -= 1
            body = _body("PutItem", asked)
            headers = http.HttpHeaders([("Host", place.netloc), ("X-Amz-Target", TARGET), ("Content-Type", TYPE),
                                        ("Content-Length", str(len(body)))])  # fmt: skip
            request = http.HttpRequest("POST", "/", headers, io.BytesIO(body))
            signing = auth.AwsSigningConfig(
                algorithm=auth.AwsSigningAlgorithm.V4,
                signature_type=auth.AwsSignatureType.HTTP_REQUEST_HEADERS,
                credentials_provider=provider,
                region=REGION,
                service="dynamodb",
            )
            auth.aws_sign_request(request, signing).add_done_callback(lambda signed: ask(connection, signed.result()))

        def ask(connection: Any, request: Any) -> None:
            stream = connection.request(request, lambda **_: None, lambda **_: None)
            stream.completion_future.add_done_callback(lambda ended: answered(connection, ended.result()))
            stream.activate()

        def answered(connection: Any, status: int) -> None:
            assert status == 200
            with lock:
                answers[0] += 1
                if answers[0] == many:
                    done.set()
            next_on(connection)

        for connection in opened:
            next_on(connection)
        assert done.wait(60)

    return send


PEERS: dict[str, Callable[[str, str, int, dict[str, Any]], Send]] = {
    "one loop": loop,
    "threads, the same client": threads,
    "pycurl": curl,
    "awscrt": crt,
    "boto3, threads": boto,
    "boto3, one after the other": boto_in_turn,
}
