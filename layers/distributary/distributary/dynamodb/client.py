"""DynamoDB's JSON protocol without boto3's layers, for functions that make a call for every change.

A boto3 call spends most of its processor time on endpoint rules, validation and hooks, and threads that make a hundred
at once wait for it in turn. Kept are botocore's credentials, endpoints and exceptions; see `transport` for the rest.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html
"""

import base64
import json
import os
import random
import ssl
import time
import urllib.request
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, TypeVar
from urllib.parse import urlsplit

import botocore.session
import msgspec
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError, ConnectionError, HTTPClientError, SSLError
from botocore.httpsession import get_cert_path

from distributary import __version__
from distributary.consumer.aws import client
from distributary.consumer.backoff import backoff_seconds
from distributary.consumer.deadline import FOREVER, Deadline, governing
from distributary.consumer.parallel import WORKERS, Parallel
from distributary.dynamodb.connection import Address
from distributary.dynamodb.response import Response
from distributary.dynamodb.signature import Signature
from distributary.dynamodb.steps import Steps, finish
from distributary.dynamodb.transport import Endpoint, Exchange, Loop, Retry, once
from distributary.errors import ConfigError, DistributaryError

Result = TypeVar("Result")
_TYPE = "application/x-amz-json-1.0"
_PASSING = {
    *("BandwidthLimitExceeded", "EC2ThrottledException", "LimitExceededException", "PriorRequestNotComplete"),
    *("ProvisionedThroughputExceededException", "ReplicatedWriteConflictException", "RequestLimitExceeded"),
    *("RequestThrottled", "RequestThrottledException", "RequestTimeout", "RequestTimeoutException", "SlowDown"),
    *("ThrottledException", "Throttling", "ThrottlingException", "TooManyRequestsException"),
    "TransactionInProgressException",
}
"""What botocore's standard mode tries again."""
_PORTS = {"http": 80, "https": 443}


@cache
def operation_name(operation: str) -> str:
    """The service's name of an operation that may be given by its method's name."""
    return "".join(part[:1].upper() + part[1:] for part in operation.split("_"))


class DynamoDBClient:
    """Some operations of a boto3 DynamoDB client: the same arguments, answers and exceptions (ClientError,
    BotoCoreError), but that arguments are checked by the service alone. Throttling, faults of the service and broken
    connections are tried again, `attempts` times in all, with full jitter.

    Threads may use it at the same time. `connections` bounds the requests that one thread has under way at once.
    """

    def __init__(
        self,
        endpoint: str,
        region: str,
        credentials: Callable[[], ReadOnlyCredentials],
        connections: int,
        attempts: int = 3,
        connect_seconds: float = 1.0,
        read_seconds: float = 2.0,
        jitter: Callable[[float, float], float] = random.uniform,
        ca_bundle: str = "",
    ) -> None:
        parts = urlsplit(endpoint)
        usual, host = _PORTS[parts.scheme], parts.hostname or ""
        port = parts.port or usual
        tls = _tls(ca_bundle) if parts.scheme == "https" else None
        address = Address(host, port, tls, connect_seconds, read_seconds)
        named = f"[{host}]" if ":" in host else host
        headers = {"host": named if port == usual else f"{named}:{port}", "content-type": _TYPE}
        self.region, self.connections, self.credentials = region, connections, credentials
        self._attempts, self._jitter = attempts, jitter
        self._endpoint = Endpoint(f"{parts.scheme}://{parts.netloc}/", address, connections)
        self._signature = Signature(headers, region, credentials)

    def get_item(self, **arguments: Any) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GetItem.html"""
        return self.call("GetItem", arguments)

    def put_item(self, **arguments: Any) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PutItem.html"""
        return self.call("PutItem", arguments)

    def update_item(self, **arguments: Any) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_UpdateItem.html"""
        return self.call("UpdateItem", arguments)

    def delete_item(self, **arguments: Any) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DeleteItem.html"""
        return self.call("DeleteItem", arguments)

    def batch_get_item(self, **arguments: Any) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""
        return self.call("BatchGetItem", arguments)

    def transact_write_items(self, **arguments: Any) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html"""
        return self.call("TransactWriteItems", arguments)

    def query(self, **arguments: Any) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html"""
        return self.call("Query", arguments)

    def scan(self, **arguments: Any) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html"""
        return self.call("Scan", arguments)

    def describe_table(self, **arguments: Any) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DescribeTable.html"""
        return self.call("DescribeTable", arguments)

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Calls an operation by its name, and waits: until two thirds of the reserve of the `governing` deadline are
        over. Raises ClientError or BotoCoreError, and Unavailable if it can not begin before that."""
        return once(self.steps(operation, arguments), governing().into_reserve())

    def steps(self, operation: str, arguments: Mapping[str, Any]) -> Steps[dict[str, Any]]:
        """The call as steps of a `transport.Loop`. Its retries share one body, and so a transaction's token: one that
        took effect without an answer does not take effect again."""
        name = operation_name(operation)
        target, body = b"DynamoDB_20120810." + name.encode(), _body(name, arguments)
        for tried in range(1, self._attempts + 1):
            try:
                response: Response = yield Exchange(self._endpoint, self._request(target, body))
                if response.status == 200:
                    return _found(response.content)
                raise _refusal(name, response)
            except (ClientError, ConnectionError, HTTPClientError) as error:
                if tried == self._attempts or not _may_pass(error):
                    raise
                failed = error
            yield Retry(backoff_seconds(FOREVER, tried, jitter=self._jitter), failed)
        raise AssertionError("unreachable")

    def _request(self, target: bytes, body: bytes) -> bytes:
        headers = self._signature.headers(target, body)
        return b"POST / HTTP/1.1\r\n%b%bContent-Length: %d\r\n\r\n%b" % (headers, _CONSTANT, len(body), body)


_CONSTANT = f"User-Agent: distributary/{__version__}\r\nAccept-Encoding: identity\r\n".encode()


@cache
def _trusting(bundle: str, more: str) -> ssl.SSLContext:
    """One context for all clients that trust `bundle`, and `more` if there is such a file. To read a bundle takes as
    long as hundreds of requests."""
    try:
        context = ssl.create_default_context(cafile=bundle)
    except OSError as error:
        fix = "correct AWS_CA_BUNDLE, or ca_bundle in AWS's config file"
        raise ConfigError(f"{bundle}: no certificates can be read from it ({error}); {fix}") from None
    # Python sets it from 3.13 on, boto3 does not: older authorities of companies do not mark their CA as critical
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if os.path.isfile(more):
        context.load_verify_locations(cafile=more)
    return context


def _tls(bundle: str) -> ssl.SSLContext:
    """What boto3 trusts: AWS_CA_BUNDLE, `bundle`, or its own. Besides, what SSL_CERT_FILE names, as in OpenSSL."""
    trusted = os.environ.get("AWS_CA_BUNDLE") or bundle or str(get_cert_path(True))
    return _trusting(trusted, os.environ.get("SSL_CERT_FILE", ""))


def _body(operation: str, arguments: Mapping[str, Any]) -> bytes:
    if operation == "TransactWriteItems":
        arguments = {"ClientRequestToken": str(uuid.uuid4()), **arguments}
    return encoded(arguments)


def encoded(content: Any) -> bytes:
    """DynamoDB JSON; bytes become base64, and a `msgspec.Raw` is copied as it is. Raises TypeError for what it can not
    hold."""
    try:
        return _ENCODE(content)
    except UnicodeEncodeError:  # a lone surrogate, which the service has to refuse
        return json.dumps(content, default=_plain).encode()


def _plain(content: Any) -> Any:
    match content:
        case bytes():
            return base64.b64encode(content).decode()
        case msgspec.Raw():
            return json.loads(bytes(content))
        case Mapping():
            return dict(content)
    raise TypeError(f"DynamoDB JSON holds no {type(content).__name__}")


_ENCODE = msgspec.json.Encoder(enc_hook=_plain).encode


def _found(content: bytes) -> dict[str, Any]:
    """What a write answers is not read: it is an empty object. What is no object at all comes from something else
    than DynamoDB, and the request is sent again."""
    if content == b"{}":
        return {}
    try:
        found = decoded(content)
    except ValueError as error:
        raise HTTPClientError(error=error) from error
    if not isinstance(found, dict):
        raise HTTPClientError(error="the response is no object of JSON")
    return found


def decoded(content: bytes) -> Any:
    """DynamoDB JSON, base64 as bytes. Raises ValueError."""
    if b'"B' not in content:
        with suppress(msgspec.MsgspecError, UnicodeDecodeError):  # such as of a lone surrogate, which json takes
            return msgspec.json.decode(content)
    return json.loads(content, object_hook=_with_bytes)


def _with_bytes(found: dict[str, Any]) -> dict[str, Any]:
    """An attribute's value holds text under `B`, a list under `BS`; an attribute of that name holds a value."""
    if len(found) == 1:
        match found:
            case {"B": str(content)}:
                return {"B": base64.b64decode(content)}
            case {"BS": list(members)}:
                return {"BS": [base64.b64decode(member) for member in members]}
    return found


def _refusal(operation: str, response: Response) -> ClientError:
    """As boto3 reports it; a response that is not DynamoDB's is judged by its status."""
    try:
        said = decoded(response.content)
        code, message = said["__type"].rpartition("#")[2], said.get("message") or said.get("Message") or ""
    except (ValueError, LookupError, TypeError, AttributeError):
        said, code, message = {}, str(response.status), response.content[:200].decode(errors="replace")
    whole: Any = {
        **said,
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": response.status},
    }
    return ClientError(whole, operation)


def _may_pass(error: Exception) -> bool:
    if isinstance(error, SSLError):
        return not isinstance(error.kwargs.get("error"), ssl.SSLCertVerificationError)
    if not isinstance(error, ClientError):
        return True
    status: int = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status >= 500 or status == 429 or error.response["Error"]["Code"] in _PASSING


def connect(region: str | None, connections: int = WORKERS, session: botocore.session.Session | None = None) -> Any:
    """A client for one call per change, with up to `connections` calls at once: see `DynamoDBClient`.

    Where the environment sets a proxy, or the endpoint has a path, the client is boto3's, since `DynamoDBClient`
    supports neither.
    """
    configured = session or botocore.session.get_session()
    region, found = region or configured.get_config_variable("region"), configured.get_credentials()
    endpoint = _usual_endpoint(configured, region)
    if endpoint is None or found is None or _proxied(endpoint):
        plain = client("dynamodb", region, connections=connections, session=session)
        endpoint, region = plain.meta.endpoint_url, plain.meta.region_name
        if found is None or urlsplit(endpoint).path not in ("", "/") or _proxied(endpoint):
            return plain
    bundle = configured.get_config_variable("ca_bundle") or ""
    return DynamoDBClient(endpoint, region, found.get_frozen_credentials, connections, ca_bundle=bundle)


def _usual_endpoint(session: botocore.session.Session, region: str | None) -> str | None:
    """The endpoint where nothing but the region decides about it. Otherwise None: boto3's client has it, which takes
    60 ms to make."""
    decided = {"endpoint_url", "services"} & session.get_scoped_config().keys()
    variants = map(session.get_config_variable, ("use_fips_endpoint", "use_dualstack_endpoint"))
    if region is None or decided or any(variants) or any(name.startswith("AWS_ENDPOINT_URL") for name in os.environ):
        return None
    for partition in session.get_component("data_loader").load_data("partitions")["partitions"]:
        if region in partition["regions"] and not region.endswith("-global"):
            return f"https://dynamodb.{region}.{partition['outputs']['dnsSuffix']}"
    return None


def _proxied(endpoint: str) -> bool:
    parts = urlsplit(endpoint)
    return bool(urllib.request.getproxies().get(parts.scheme)) and not urllib.request.proxy_bypass(parts.netloc)


def clients(service: str, region: str | None = None, **options: Any) -> Any:
    """See `Clients`: boto3's, except that DynamoDB's is `connect`'s."""
    return connect(region, **options) if service == "dynamodb" else client(service, region, **options)


def carry_out(
    clients: Sequence[Any], steps: Sequence[Steps[Result]], parallel: Parallel, deadline: Deadline
) -> list[Result | DistributaryError]:
    """The results of steps, in order, or the DistributaryErrors that they raised. All their calls are those of
    `clients`.

    One loop carries them out if each client is a `DynamoDBClient`. Others take one after the other, and do in the
    threads of `parallel` what it does together.
    """
    if _all_ours(clients):
        return Loop(deadline).run(steps)
    return [finish(each, parallel, deadline) for each in steps]


def carry_out_apart(
    clients: Sequence[Any],
    steps: Sequence[Steps[Result]],
    parallel: Parallel,
    deadline: Deadline,
    sleep: Callable[[float], None] = time.sleep,
) -> list[Result | DistributaryError]:
    """As `carry_out`, of steps that do nothing `Together`: those over other clients have a thread of `parallel` each,
    and so has what any of them does `Aside`."""
    if _all_ours(clients):
        return Loop(deadline, parallel=parallel).run(steps)
    return parallel.run(lambda each: finish(each, sleep=sleep), steps, deadline)


def _all_ours(clients: Sequence[Any]) -> bool:
    return all(isinstance(each, DynamoDBClient) for each in clients)
