"""A connection to OpenSearch: authentic, verified, and with no retries of its own."""

import socket
import ssl
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

from distributary.consumer.aws import client, nothing_answers
from distributary.errors import ConfigError
from distributary.index.opensearch.credentials import Basic, Credentials, Signed, Unsigned, secret
from distributary.index.opensearch.http import Wire

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Client:
    """`bulk` and `get_many` go over a wire of our own; everything else is opensearch-py's, imported when it is first
    asked for: the index function starts without it."""

    def __init__(self, endpoint: str, credentials: Credentials) -> None:
        self.endpoint, self._credentials = endpoint, credentials
        self._wire = Wire(endpoint, credentials)

    def bulk(self, *, body: bytes, request_timeout: float) -> Any:
        """See `Wire.bulk`."""
        return self._wire.bulk(body=body, request_timeout=request_timeout)

    def get_many(self, *, body: bytes, request_timeout: float) -> Any:
        """See `Wire.get_many`."""
        return self._wire.get_many(body=body, request_timeout=request_timeout)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._whole, name)

    @cached_property
    def _whole(self) -> Any:
        from opensearchpy import OpenSearch, Urllib3HttpConnection

        return OpenSearch(
            hosts=[self.endpoint],
            http_auth=None if isinstance(self._credentials, Unsigned) else self._credentials,
            connection_class=Urllib3HttpConnection,
            verify_certs=True,
            max_retries=0,
            retry_on_timeout=False,
            http_compress=True,
            timeout=10,
        )


def connect(endpoint: str, service: str, secret_arn: str = "none") -> Client:
    """`service`: es (OpenSearch Service), aoss (Serverless), basic (name and password of `secret_arn`) or none.

    Raises ConfigError for an endpoint in the clear beyond this machine, and for credentials that are not there.
    """
    address = urlsplit(endpoint)
    if address.scheme != "https" and address.hostname not in _LOOPBACK:
        raise ConfigError(f"{endpoint} would send items in the clear: give an address that begins with https://")
    if service == "basic" and secret_arn == "none":
        raise ConfigError("the service is basic: give the ARN of the secret with its name and password")
    credentials: Credentials = Unsigned()
    if service in ("es", "aoss"):
        credentials = Signed(service)
    elif service == "basic":
        credentials = Basic(secret(secret_arn))
    return Client(endpoint, credentials)


def why_unreachable(endpoint: str, error: Any) -> str:
    """One line for opensearch-py's ConnectionError: the endpoint, why it cannot be reached, and what to do."""
    found = error.info
    causes = [found.__cause__, *found.args, found] if isinstance(found, Exception) else [error]
    cause = next(each for each in causes if isinstance(each, Exception))
    if isinstance(cause, ssl.SSLError):
        return (
            f"no TLS connection to {endpoint} ({cause.reason}): give it a trusted certificate for its name, "
            "name its CA in SSL_CERT_FILE, or correct the address"
        )
    if isinstance(cause, socket.gaierror):
        return nothing_answers(endpoint, "the name cannot be resolved")
    return nothing_answers(endpoint, getattr(cause, "strerror", None) or type(cause).__name__)


def clients(service: str, region: str | None = None, **options: Any) -> Any:
    """See `aws.Clients`; besides boto3's clients, "opensearch" is one, whose options are `endpoint`, `authentication`
    and `secret`: see `connect`."""
    if service == "opensearch":
        return connect(options["endpoint"], options["authentication"], options["secret"])
    return client(service, region, **options)
