"""boto3 clients, and what their errors ask of the caller."""

import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any, Protocol

from distributary.consumer.parallel import WORKERS
from distributary.errors import DistributaryError, Rejected, Unavailable


@contextmanager
def _to_stay() -> Iterator[None]:
    """What is imported meanwhile stays as long as the process, and the collector never walks through it: it would do so
    several times while boto3 and the rest are imported."""
    collects = gc.isenabled()
    gc.disable()
    yield
    gc.freeze()
    if collects:
        gc.enable()


with _to_stay():
    import boto3
    import botocore.session
    from botocore.config import Config
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectTimeoutError,
        EndpointConnectionError,
        NoCredentialsError,
        NoRegionError,
    )

ALIAS = "live"
"""Of a function, the version that its events go to; template.yaml makes it."""


class Clients(Protocol):
    """Where a branch gets its AWS clients from: `client`, or fakes in tests."""

    def __call__(self, service: str, region: str | None = None, **options: Any) -> Any:
        """A client with the operations of boto3's; the options are those of `client`."""


class Later:
    """A client that is made when something of it is first asked for. To make one takes 70 ms of CPU for S3 and 155 for
    SES, and most environments park nothing and send nothing."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make, self._lock, self._made = make, Lock(), None

    def __getattr__(self, name: str) -> Any:
        with self._lock:
            if self._made is None:
                self._made = self._make()
        return getattr(self._made, name)


AwsError = (ClientError, BotoCoreError)

_PERMANENT = {"ValidationException", "ItemCollectionSizeLimitExceededException", "SerializationException"}
_GRANT = "grant the function's role this action (a command: your own role)"
_DEPLOYMENT = {
    "AccessDenied": _GRANT,
    "ValidationException": "the table has another key than is written: make it anew, or correct its name",
    "AccessDeniedException": _GRANT,
    "NoSuchBucket": "correct the bucket's name in the stack's parameters",
    "ResourceNotFoundException": "correct the table's name and region in the stack's parameters",
    "UnrecognizedClientException": "check the function's credentials and region",
}
_WRONG_KEY = ("does not match the schema", "Missing the key", "Type mismatch for key")
"""What DynamoDB says of a table that has another key than the one written to: no item is to blame."""


def client(
    service: str,
    region: str | None = None,
    attempts: int = 3,
    read_seconds: float = 2.0,
    connections: int = WORKERS,
    session: botocore.session.Session | None = None,
) -> Any:
    """A boto3 client that fails fast: 1 s to connect, `read_seconds` to answer, at most `attempts` tries; it keeps as
    many connections open as there are calls at once. `session` brings other credentials than the function's own.

    A service that hangs can hold a call for all of these tries beyond a deadline; Lambda then ends the function.

    https://boto3.amazonaws.com/v1/documentation/api/latest/guide/retries.html
    """
    config = Config(
        connect_timeout=1,
        read_timeout=read_seconds,
        max_pool_connections=connections,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )
    made = boto3.Session(region_name=region, botocore_session=session)
    return made.client(service, config=config)  # type: ignore[call-overload]


def code_of(error: Exception) -> str:
    """The service's error code, or the class of the exception if the service did not answer."""
    if isinstance(error, ClientError):
        return str(error.response.get("Error", {}).get("Code", "Unknown"))
    return type(error).__name__


def classify(error: Exception, call: str) -> DistributaryError:
    """Returns Rejected for what the service can never accept, and Unavailable for everything else, such as throttling.

    A wrong deployment (no permission, no table, a table with another key) is Unavailable too: once fixed, it succeeds.
    """
    code = code_of(error)
    if code in _PERMANENT and not any(words in str(error) for words in _WRONG_KEY):
        return Rejected(f"{call}: {code}", str(error))
    fix = _DEPLOYMENT.get(code)
    return Unavailable(f"{call}: {code}" + (f"; {fix}" if fix else ""), str(error))


_ON_THIS_MACHINE = "; for a table on this machine, set what `distributary up` prints"
NO_REGION = f"no region: give --region, or set AWS_REGION{_ON_THIS_MACHINE}"
NO_CREDENTIALS = (
    f"no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY{_ON_THIS_MACHINE}"
)


def how_to_reach(error: Exception) -> str:
    """One line that a command prints if no request got to AWS: what is wrong, and how to fix it. Empty if one did."""
    if isinstance(error, NoRegionError):
        return NO_REGION
    if isinstance(error, NoCredentialsError):
        return NO_CREDENTIALS
    if isinstance(error, EndpointConnectionError | ConnectTimeoutError):
        return nothing_answers(str(error.kwargs.get("endpoint_url", "")))
    return ""


def nothing_answers(endpoint: str, why: str = "") -> str:
    """That no service can be reached at the endpoint, why if that is known, and what to do."""
    start = "start what should listen there, such as `distributary up`"
    return f"nothing answers at {endpoint.rstrip('/')}{why and f' ({why})'}: {start}, or correct the address"


def why_no_client(error: Exception) -> str:
    """One line that a command prints if boto3 cannot make a client. It says how to fix that."""
    return how_to_reach(error) or " ".join(str(error).split())


def why_no_table(table: str, error: Exception, region: str = "") -> str:
    """One line that a command prints if it cannot read a table's description. It says how to fix that."""
    fix = how_to_reach(error) or f"{code_of(error)}; correct its name, --region or --endpoint-url, or your credentials"
    return f"table {table}{region and f' in {region}'}: {fix}"
