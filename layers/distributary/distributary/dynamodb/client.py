"""DynamoDB's JSON protocol without boto3's layers, for functions that make a call for every change.

A boto3 call spends most of its processor time on endpoint rules, validation and hooks, and threads that make a hundred
at once wait for it in turn. Kept are botocore's credentials, signature and exceptions, and urllib3's connections.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.LowLevelAPI.html
"""

import base64
import json
import os
import ssl
import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import botocore.session
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError, EndpointConnectionError, HTTPClientError, ReadTimeoutError
from botocore.httpsession import get_cert_path
from urllib3.exceptions import HTTPError, NewConnectionError
from urllib3.exceptions import TimeoutError as Slow

from distributary.consumer.aws import client
from distributary.consumer.backoff import backoff
from distributary.consumer.deadline import FOREVER

_TARGET = "DynamoDB_20120810"
_TYPE = "application/x-amz-json-1.0"
_THROTTLED = {"ProvisionedThroughputExceededException", "RequestLimitExceeded", "ThrottlingException"}
_UNANSWERED = (EndpointConnectionError, HTTPClientError)


class DynamoDBClient:
    """Some operations of a boto3 DynamoDB client: the same arguments, answers and exceptions (ClientError,
    BotoCoreError), but that arguments are checked by the service alone. Throttling, faults of the service and broken
    connections are tried again, `attempts` times in all, with full jitter.
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
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = urlsplit(endpoint)
        self._url, self.region, self.connections = f"{parts.scheme}://{parts.netloc}/", region, connections
        self.credentials, self._attempts, self._sleep = credentials, attempts, sleep
        timeout = urllib3.Timeout(connect=connect_seconds, read=read_seconds)
        options: dict[str, Any] = {"maxsize": connections, "retries": False, "timeout": timeout}
        pool: Any = urllib3.HTTPConnectionPool
        if parts.scheme == "https":
            trusted = os.environ.get("AWS_CA_BUNDLE") or get_cert_path(True)
            pool, options["ssl_context"] = urllib3.HTTPSConnectionPool, ssl.create_default_context(cafile=trusted)
        self._pool = pool(parts.hostname, parts.port, **options)

    def put_item(self, **arguments: Any) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_PutItem.html"""
        return self.call("PutItem", arguments)

    def delete_item(self, **arguments: Any) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_DeleteItem.html"""
        return self.call("DeleteItem", arguments)

    def get_item(self, **arguments: Any) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_GetItem.html"""
        return self.call("GetItem", arguments)

    def batch_get_item(self, **arguments: Any) -> dict[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""
        return self.call("BatchGetItem", arguments)

    def call(self, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Raises ClientError or BotoCoreError."""
        body = json.dumps(arguments, default=_base64, separators=(",", ":")).encode()
        for left in reversed(range(self._attempts)):
            try:
                return self._once(operation, body)
            except (ClientError, *_UNANSWERED) as error:
                if not left or not _may_pass(error):
                    raise
            backoff(FOREVER, self._attempts - left, sleep=self._sleep)
        raise AssertionError("unreachable")

    def _once(self, operation: str, body: bytes) -> dict[str, Any]:
        headers = {"Content-Type": _TYPE, "X-Amz-Target": f"{_TARGET}.{operation}"}
        request = AWSRequest("POST", self._url, headers, body)
        SigV4Auth(self.credentials(), "dynamodb", self.region).add_auth(request)
        try:
            answer = self._pool.urlopen("POST", "/", body, dict(request.headers.items()))
        except NewConnectionError as error:
            raise EndpointConnectionError(endpoint_url=self._url, error=error) from error
        except Slow as error:
            raise ReadTimeoutError(endpoint_url=self._url, error=error) from error
        except HTTPError as error:
            raise HTTPClientError(error=error) from error
        if answer.status == 200:
            found: dict[str, Any] = json.loads(answer.data, object_hook=_with_bytes)
            return found
        raise _refusal(operation, answer.status, answer.data)


def _base64(content: Any) -> str:
    """Of what JSON has no form for, DynamoDB JSON holds bytes only."""
    if isinstance(content, bytes):
        return base64.b64encode(content).decode()
    raise TypeError(f"DynamoDB JSON holds no {type(content).__name__}")


def _with_bytes(found: dict[str, Any]) -> dict[str, Any]:
    """An attribute's value holds text under `B`, a list under `BS`; an attribute of that name holds a value."""
    match found:
        case {"B": str(content)} if len(found) == 1:
            return {"B": base64.b64decode(content)}
        case {"BS": list(members)} if len(found) == 1:
            return {"BS": [base64.b64decode(member) for member in members]}
    return found


def _refusal(operation: str, status: int, content: bytes) -> ClientError:
    """As boto3 reports it; a response that is not DynamoDB's is judged by its status."""
    try:
        said = json.loads(content, object_hook=_with_bytes)
        code, message = said["__type"].rpartition("#")[2], said.get("message") or said.get("Message") or ""
    except (ValueError, LookupError, TypeError, AttributeError):
        said, code, message = {}, str(status), content[:200].decode(errors="replace")
    response: Any = {
        **said,
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(response, operation)


def _may_pass(error: Exception) -> bool:
    if not isinstance(error, ClientError):
        return True
    status: int = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status >= 500 or error.response["Error"]["Code"] in _THROTTLED


def connect(region: str | None, connections: int, session: botocore.session.Session | None = None) -> Any:
    """A client for one call per change, with up to `connections` calls at once: see `DynamoDBClient`.

    Where the environment sets a proxy, the client is boto3's, since `DynamoDBClient` supports none.
    """
    plain = client("dynamodb", region, connections=connections, session=session)
    endpoint, found = plain.meta.endpoint_url, (session or botocore.session.get_session()).get_credentials()
    if found is None or urllib.request.getproxies().get(endpoint.partition(":")[0]):
        return plain
    return DynamoDBClient(endpoint, plain.meta.region_name, found.get_frozen_credentials, connections)


def clients(service: str, region: str | None = None, **options: Any) -> Any:
    """See `Clients`: boto3's, except that DynamoDB's is `connect`'s."""
    return connect(region, **options) if service == "dynamodb" else client(service, region, **options)
