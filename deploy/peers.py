"""Multi-active as README deploys it: a stack in each of two regions, their built functions carrying edits each way."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.artifact import Artifact
from local.aws import Aws
from local.esm.lane import Backoff
from local.esm.mapping import EventSourceMapping, Hooks, Stream
from local.esm.quiet import wait_until_idle

TABLE, DELETIONS, STAMP = "users", "users-deletions", "_distributary_version"
KEY = {"user_id": {"S": "u-1"}}
DRAIN_SECONDS = 60
DECLARED = """from distributary.replicate import MultiActive, last_writer

REPLICA = MultiActive(regions={regions!r}, rule=last_writer("changed_at", "milliseconds"))
"""


@dataclass(frozen=True, slots=True)
class Peer:
    """A region's stack, and what its parameters are."""

    aws: Aws
    stack: str
    given: Mapping[str, Any]


def project(root: Path, folder: Path, regions: Sequence[str]) -> Path:
    """A copy of what SAM builds, as a user has it who declared multi-active; its template."""
    folder.mkdir()
    for part in ("layers", "functions", "statemachines"):
        shutil.copytree(root / part, folder / part, ignore=shutil.ignore_patterns("__pycache__"))
    (folder / "functions" / "replicate" / "replica.py").write_text(DECLARED.format(regions=tuple(regions)))
    shutil.copy(root / "ses.yaml", folder)
    return Path(shutil.copy(root / "template.yaml", folder))


def peers(each: Sequence[Aws], source: Callable[[Aws], str], others: Mapping[str, Any]) -> list[Peer]:
    """What the stacks are deployed with, by README; `source` makes a region's table, `others` are what all need."""
    regions = [aws.region for aws in each]
    return [
        Peer(
            aws,
            f"distributary-peer-{aws.region}",
            {
                **others,
                "ReplicateSourceArn": source(aws),
                "ReplicaTableName": TABLE,
                "ReplicaRegion": ",".join(region for region in regions if region != aws.region),
                "TombstoneTableName": DELETIONS,
            },
        )
        for aws in each
    ]


def faults(root: Path, built: Path, both: Sequence[Peer]) -> list[str]:
    """What went wrong when an edit, an edit on top of it and a deletion were made, each in another region than the one
    before. The emulator's own mappings, which keep no promise of Lambda's, are taken away first."""
    with ExitStack() as held:
        mappings = [held.enter_context(_attached(root, built, peer)) for peer in both]
        here, there = (peer.aws.client("dynamodb") for peer in both)
        first, second = ({**KEY, "changed_at": {"N": at}, "name": {"S": name}} for at, name in (("1", "a"), ("2", "b")))
        found = []
        for client, other, item in ((here, there, first), (there, here, second), (here, there, None)):
            if item is None:
                client.delete_item(TableName=TABLE, Key=KEY)
            else:
                client.put_item(TableName=TABLE, Item=item)
            wait_until_idle(mappings, DRAIN_SECONDS)
            row = other.get_item(TableName=TABLE, Key=KEY, ConsistentRead=True).get("Item", {})
            if (plain := {name: value for name, value in row.items() if name != STAMP}) != (item or {}):
                found.append(f"the other region has {plain}, not {item or {}}")
        read = [mapping.tally.counts().get("read") for mapping in mappings]
        return found + ([] if read == [3, 3] else [f"records in the streams: {read}, not 3 in each"])


@contextmanager
def _attached(root: Path, built: Path, peer: Peer) -> Iterator[EventSourceMapping]:
    """The deployed function behind a mapping that does what Lambda's does."""
    with Artifact(root, built, peer.aws, peer.stack).deployed("replicate") as function:
        _detach(peer)
        stream = Stream(peer.given["ReplicateSourceArn"], peer.aws.region, peer.aws.client("dynamodbstreams"))
        (settings,) = function.spec.mappings
        mapping = EventSourceMapping(
            stream, function.spec.arn, function.invoke, settings, peer.aws.client, Hooks(), Backoff()
        )
        mapping.start()
        try:
            yield mapping
        finally:
            mapping.stop()


def _detach(peer: Peer) -> None:
    client = peer.aws.client("lambda")
    for each in client.list_event_source_mappings()["EventSourceMappings"]:
        if each["EventSourceArn"] == peer.given["ReplicateSourceArn"]:
            client.delete_event_source_mapping(UUID=each["UUID"])
