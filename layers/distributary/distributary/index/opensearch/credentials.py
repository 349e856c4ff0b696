"""What makes a request to OpenSearch authentic: a signature for AWS, a name and password, or nothing."""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest

from distributary.errors import ConfigError, Unavailable

_REMEMBERED_SECONDS = 300


class Credentials(Protocol):
    """Headers for a request, as opensearch-py's `http_auth` takes them as well."""

    def __call__(self, method: str, url: str, body: bytes | None, /) -> dict[str, str]:
        """For a request with this body, as it is sent."""

    def renew(self, refused: Mapping[str, str]) -> bool:
        """After a 401 for these headers: whether there are others by now, so that another try makes sense."""


class Unsigned:
    """For a loopback node, or one that its network guards."""

    def __call__(self, *_: Any) -> dict[str, str]:
        """None."""
        return {}

    def renew(self, _: Mapping[str, str]) -> bool:
        """Nothing is there to renew."""
        return False


class Signed:
    """SigV4 for `es` (OpenSearch Service) or `aoss` (Serverless, which wants the body's digest as a header, too).
    https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-clients.html"""

    def __init__(self, service: str) -> None:
        session = boto3.Session()
        found, region = session.get_credentials(), session.region_name
        if found is None or not region:
            raise ConfigError(f"requests for '{service}' are signed: give AWS credentials and AWS_REGION")
        self._credentials, self._region, self._service = found, region, service

    def __call__(self, method: str, url: str, body: bytes | None, /) -> dict[str, str]:
        """The signature's headers; credentials that end are renewed by botocore."""
        request = AWSRequest(method=method, url=url, data=body)
        signer = SigV4Auth(self._credentials.get_frozen_credentials(), self._service, self._region)
        request.headers["X-Amz-Content-SHA256"] = signer.payload(request)
        signer.add_auth(request)
        return dict(request.headers.items())

    def renew(self, _: Mapping[str, str]) -> bool:
        """Botocore has done so already."""
        return False


class Basic:
    """A name and password out of `fetch`, asked for at first use, and again after a 401.

    `fetch(afresh)` gives `{"username": ..., "password": ...}` as JSON text, from a cache unless `afresh`.
    """

    def __init__(self, fetch: Callable[[bool], str]) -> None:
        self._fetch, self._header = fetch, ""

    def __call__(self, *_: Any) -> dict[str, str]:
        """The Authorization header. Raises ConfigError for a secret without a name and password."""
        return {"Authorization": self._header or self._read(afresh=False)}

    def renew(self, refused: Mapping[str, str]) -> bool:
        """Reads the secret anew, unless another request in flight has done so meanwhile."""
        if self._header == refused.get("Authorization"):
            self._read(afresh=True)
        return self._header != refused.get("Authorization")

    def _read(self, afresh: bool) -> str:
        try:
            secret = json.loads(self._fetch(afresh))
            pair = f"{secret['username']}:{secret['password']}"
        except (ValueError, TypeError, KeyError):
            raise ConfigError('the secret must be JSON such as {"username": "...", "password": "..."}') from None
        self._header = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return self._header


def secret(arn: str) -> Callable[[bool], str]:
    """A secret of Secrets Manager or a (Secure)String of Parameter Store by its ARN, cached for five minutes.
    https://docs.powertools.aws.dev/lambda/python/latest/utilities/parameters/"""
    from aws_lambda_powertools.utilities import parameters

    def fetch(afresh: bool) -> str:
        options: dict[str, Any] = {"max_age": _REMEMBERED_SECONDS, "force_fetch": afresh}
        try:
            if ":secretsmanager:" in arn:
                return str(parameters.get_secret(arn, **options))
            return str(parameters.get_parameter(arn, decrypt=True, **options))
        except parameters.GetParameterError as error:
            raise Unavailable(
                "the OpenSearch secret cannot be read: grant the function's role it", str(error)
            ) from error

    return fetch
