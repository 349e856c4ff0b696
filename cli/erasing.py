"""The command that removes what a stack keeps of one item beside its tables."""

import time
from collections.abc import Iterator
from typing import Annotated, Any

import boto3
import typer
from botocore.config import Config

from cli.erasure import Bucket, ClaimTable, Found, Item
from cli.running import checked_endpoint
from distributary.errors import ConfigError

_OUTPUTS = ("ParkingBucketName", "ClaimTableName")


def erase(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="The source table's name.")],
    key: Annotated[str, typer.Option(metavar="JSON", help="""The item's key: '{"user_id": {"S": "u-1"}}'.""")],
    stack: Annotated[str | None, typer.Option(help="The deployed stack, whose outputs name bucket and table.")] = None,
    parking: Annotated[str | None, typer.Option(metavar="BUCKET", help="The parking bucket.")] = None,
    claim_table: Annotated[str | None, typer.Option(help="The table of claims, if welcome is deployed.")] = None,
    endpoint_url: Annotated[str | None, typer.Option(help="Of AWS (default: AWS_ENDPOINT_URL, or else AWS).")] = None,
    region: Annotated[str | None, typer.Option(envvar="AWS_REGION", help="Of the stack.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="List what would be removed, and remove nothing.")] = False,
) -> int:
    """Remove one item's parked changes, recorded conflicts and claims."""
    item, session = Item.parse(table, key), boto3.Session(region_name=region)
    endpoint, config = checked_endpoint(endpoint_url), Config(retries={"mode": "adaptive", "total_max_attempts": 10})

    def client(service: str) -> Any:
        return session.client(service, endpoint_url=endpoint, config=config)  # type: ignore[call-overload]

    if stack is not None:
        found = _outputs(client("cloudformation"), stack)
        parking, claim_table = parking or found.get(_OUTPUTS[0]), claim_table or found.get(_OUTPUTS[1])
    if not parking and not claim_table:
        raise ConfigError("give --stack, or --parking and --claim-table")

    def places() -> Iterator[Found]:
        if parking:
            yield from Bucket(client("s3"), parking).find(item)
        if claim_table:
            yield from ClaimTable(client("dynamodb"), claim_table, time.time()).find(item)

    return _removed(list(places()), dry_run)


def _removed(found: list[Found], dry_run: bool) -> int:
    left = 0
    for each in found:
        gone = not dry_run and each.remove()
        left += not gone
        print("would be removed" if dry_run else "removed" if gone else "left, for it is in use", each.place, sep=": ")
    print(f"{len(found) - left} removed, {left} left")
    return 1 if left else 0


def _outputs(cloudformation: Any, stack: str) -> dict[str, str]:
    (found,) = cloudformation.describe_stacks(StackName=stack)["Stacks"]
    return {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
