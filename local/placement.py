"""Where attached functions keep what they make: their tables, buckets and messages."""

from dataclasses import dataclass

from botocore.exceptions import BotoCoreError, ClientError

from local.aws import Aws

_KEEPS = "the functions keep their tables, buckets and messages"


@dataclass(frozen=True, slots=True)
class Placement:
    """Where things are kept; None = in services that are embedded in this run. `line` tells the user."""

    at: Aws | None
    line: str


def place(source: Aws, beside: Aws | None, embedded: bool) -> Placement:
    """Beside the source table where that is possible. An endpoint without S3, such as DynamoDB Local, has room for the
    source only: then at the services of `distributary up`, or of another emulator, that `beside` names."""
    if embedded or source.endpoint is None:
        return Placement(None, f"{_KEEPS} in services that end with this run")
    if offers_buckets(source):
        return Placement(source, f"{_KEEPS} at {source.endpoint}, where they outlive this run")
    lacks = f"{source.endpoint} has no S3: {_KEEPS}"
    if beside is not None and beside.endpoint != source.endpoint and offers_buckets(beside):
        return Placement(beside, f"{lacks} at {beside.endpoint}, where they outlive this run")
    keep = f"start `distributary up`, set the variables that it prints, and give --endpoint-url {source.endpoint}"
    return Placement(None, f"{lacks} in services that end with this run. To keep them, {keep}")


def offers_buckets(aws: Aws) -> bool:
    """Whether S3 answers there. One that refuses to list its buckets is there as well."""
    try:
        aws.client("s3", attempts=1).list_buckets()
    except ClientError as error:
        return error.response["ResponseMetadata"].get("HTTPStatusCode") == 403
    except BotoCoreError:
        return False
    return True
