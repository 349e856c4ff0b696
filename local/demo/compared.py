"""The comparison of the five functions' branches with the table that they read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distributary.feed.snapshot import Table
from distributary.readers.archive import Archive
from distributary.readers.place import place
from local.demo import oracle, reconcile
from local.demo.oracle import Parked
from local.demo.reconcile import Reconciliation
from local.emulators import Endpoints
from local.stack import Stack


@dataclass(frozen=True, slots=True)
class Source:
    """The table, the items that it held before its stream began, and the users who were to get a message."""

    table: Table
    existing: Sequence[dict[str, Any]]
    born: set[str]


def compared(source: Source, stack: Stack, endpoints: Endpoints) -> list[Reconciliation]:
    """Of `derive`, `index`, `welcome`, `replicate` and `archive`, in this order."""
    table, dynamodb, s3 = source.table, stack.aws.client("dynamodb"), stack.aws.client("s3")

    def parked(name: str) -> Parked:
        return Parked(s3, stack.spec(name).environment["PARKING_BUCKET"], name)

    items = list(reconcile.scan(dynamodb, table.name))
    derived = oracle.view_rows(reconcile.scan(dynamodb, stack.spec("derive").environment["DERIVED_TABLE"]))
    given = stack.spec("replicate").environment
    replica = reconcile.scan(stack.aws.client("dynamodb", given["REPLICA_REGION"]), given["REPLICA_TABLE"])
    replicas = oracle.rows_of(replica, lambda item: oracle.item_name(item, table.keys))
    bucket = stack.spec("archive").environment["ARCHIVE_BUCKET"]
    archive = Archive(place(f"s3://{bucket}", lambda: s3), table.name)
    return [
        reconcile.compare("derive", oracle.derived(items, table.keys, parked("derive")), derived),
        reconcile.compare(
            "index", oracle.documents(items, table.keys, parked("index")), reconcile.search(endpoints.opensearch)
        ),
        reconcile.greetings(source.born, reconcile.sent_messages(endpoints.aws), parked("welcome")),
        reconcile.compare("replicate", oracle.replicas(items, table.keys, parked("replicate")), replicas),
        reconcile.compare(
            "archive",
            oracle.replicas(items, table.keys, parked("archive")),
            oracle.rebuilt(source.existing, archive.changes(), table.keys),
        ),
    ]
