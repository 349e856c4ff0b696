"""One HTTP request to OpenSearch at a time, lean: urllib3, gzip, verified TLS, and no retries of its own."""

import gzip
import os
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson
import urllib3
from urllib3.exceptions import HTTPError, NameResolutionError, SSLError
from urllib3.util.ssl_match_hostname import CertificateError

from distributary.index.opensearch.bulk_errors import UNKNOWN_HOST, UNTRUSTED, Refused
from distributary.index.opensearch.concurrency_limit import LANES
from distributary.index.opensearch.credentials import Credentials

_BULK = "/_bulk?filter_path=items.%2A.status%2Citems.%2A.error"
"""Of the answer, only this is read. Encoded, for a signature covers the query as it is sent."""

_GET_MANY = "/_mget"

_CONNECT_SECONDS = 3.0
_HEADERS = {"Content-Encoding": "gzip", "Connection": "keep-alive"}
_NDJSON, _JSON = "application/x-ndjson", "application/json"
_COMPRESSION = 1
"""A bulk body shrinks to a fifth already at gzip's quickest."""


class Wire:
    """A pool of connections to one endpoint."""

    def __init__(self, endpoint: str, credentials: Credentials) -> None:
        parts = urlsplit(endpoint)
        self._endpoint, self._credentials = f"{parts.scheme}://{parts.netloc}", credentials
        pool: Any = urllib3.HTTPConnectionPool
        options: dict[str, Any] = {"maxsize": LANES, "retries": False}
        if parts.scheme == "https":
            pool, options["ssl_context"] = urllib3.HTTPSConnectionPool, trusting()
        self._pool = pool(parts.hostname, parts.port, **options)

    def bulk(self, *, body: bytes, request_timeout: float) -> Any:
        """The answer to NDJSON: `items`, each with its status and error. Raises Refused for any other answer or none,
        ConfigError and Unavailable as the credentials do.
        https://docs.opensearch.org/latest/api-reference/document-apis/bulk/"""
        return self._answer(_BULK, _NDJSON, body, request_timeout, "items")

    def get_many(self, *, body: bytes, request_timeout: float) -> Any:
        """The answer to a multi-get: `docs`, each with `found` or `error`. Raises as `bulk` does.
        https://docs.opensearch.org/latest/api-reference/document-apis/multi-get/"""
        return self._answer(_GET_MANY, _JSON, body, request_timeout, "docs")

    def _answer(self, path: str, type: str, body: bytes, seconds: float, wanted: str) -> Any:
        packed, url = gzip.compress(body, _COMPRESSION, mtime=0), self._endpoint + path
        own = {**_HEADERS, "Content-Type": type}
        headers = self._credentials("POST", url, packed)
        status, text = self._post(path, {**own, **headers}, packed, seconds)
        if status == 401 and self._credentials.renew(headers):
            headers = self._credentials("POST", url, packed)
            status, text = self._post(path, {**own, **headers}, packed, seconds)
        if status != 200:
            kind, reason = _error(text)
            raise Refused(status, kind, text.decode(errors="replace"), reason)
        try:
            return {wanted: orjson.loads(text)[wanted]}
        except (ValueError, LookupError, TypeError) as error:
            raise Refused(0, "an answer that is none", str(error)) from error

    def _post(self, path: str, headers: Mapping[str, str], packed: bytes, seconds: float) -> tuple[int, bytes]:
        timeout = urllib3.Timeout(connect=min(_CONNECT_SECONDS, seconds), read=seconds)
        try:
            answer = self._pool.urlopen("POST", path, packed, dict(headers), timeout=timeout)
            return int(answer.status), bytes(answer.data)
        except HTTPError as error:
            raise Refused(0, _obstacle(error), str(error)) from error


def trusting() -> ssl.SSLContext:
    """Verifies certificate and name, by the authorities in the file that SSL_CERT_FILE names, or else Mozilla's."""
    import certifi

    return ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or certifi.where())


def _obstacle(error: HTTPError) -> str:
    """What stood in the way: a connection that broke may come back, a wrong name or certificate will not."""
    if isinstance(error, NameResolutionError):
        return UNKNOWN_HOST
    cause = error.args[0] if isinstance(error, SSLError) and error.args else None
    return UNTRUSTED if isinstance(cause, ssl.CertificateError | CertificateError) else type(error).__name__


def _error(text: bytes) -> tuple[str, str]:
    """OpenSearch's error type and reason, if the body has them."""
    try:
        error = orjson.loads(text)["error"]
        return str(error["type"]), str(error.get("reason", ""))
    except (ValueError, LookupError, TypeError):
        return "", ""
