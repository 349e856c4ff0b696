"""The command that removes what a stack keeps of one item beside its tables."""

import time
from collections.abc import Iterator
from typing import Annotated

import typer

from cli.erasure import Bucket, ClaimTable, DeferredBucket, Found, Item
from cli.item_key import is_key_of
from cli.options import DryRun, StackEndpoint, StackRegion, bucket_name, checked_endpoint, key_of
from cli.stack import Stack, clients
from distributary.errors import ConfigError
from distributary.trunk.deferred import Store

_OUTPUTS = ("ParkingBucketName", "ClaimTableName", "DeferredBucketName")


def erase(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="The source table's name.")],
    key: Annotated[str, typer.Option(metavar="JSON", help="""The item's key: '{"user_id": {"S": "u-1"}}'.""")],
    stack: Annotated[str | None, typer.Option(help="The deployed stack, whose outputs name bucket and table.")] = None,
    parking: Annotated[
        str | None, typer.Option(metavar="BUCKET", callback=bucket_name, help="The parking bucket.")
    ] = None,
    claim_table: Annotated[str | None, typer.Option(help="The table of claims, if welcome is deployed.")] = None,
    deferred: Annotated[
        str | None,
        typer.Option(metavar="BUCKET", callback=bucket_name, help="The deferred bucket, if there is a trunk."),
    ] = None,
    endpoint_url: StackEndpoint = None,
    region: StackRegion = None,
    dry_run: DryRun = False,
) -> int:
    """Remove one item's parked and deferred changes, recorded conflicts and claims."""
    item, client = Item(table.rpartition("/")[2], key_of(key)), clients(checked_endpoint(endpoint_url), region)
    if stack is not None:
        found = Stack.find(stack, client).outputs
        parking, claim_table, deferred = (
            given or found.get(name) for given, name in zip((parking, claim_table, deferred), _OUTPUTS, strict=True)
        )
    if not parking and not claim_table and not deferred:
        raise ConfigError("give --stack, or --parking, --claim-table and --deferred")
    known = is_key_of(client("dynamodb"), table, item.keys)

    def places() -> Iterator[Found]:
        if parking:
            yield from Bucket(client("s3"), parking).find(item)
        if deferred:
            yield from DeferredBucket(Store(client("s3"), deferred)).find(item)
        if claim_table:
            yield from ClaimTable(client("dynamodb"), claim_table, time.time()).find(item)

    everything = list(places())
    if not everything and not known:
        raise ConfigError(
            f"there is no table {table}, and nothing of this item: correct its name, --key or --region. "
            "If the table was deleted, nothing is left"
        )
    return _removed(everything, dry_run)


def _removed(found: list[Found], dry_run: bool) -> int:
    left = 0
    for each in found:
        gone = not dry_run and each.remove()
        left += not gone
        print("would be removed" if dry_run else "removed" if gone else "left, for it is in use", each.place, sep=": ")
    print(f"{len(found) - left} removed, {left} left")
    return 1 if left else 0
