"""The demo's multi-active branch: a table in two regions, each with its function, both written at the same time."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from local.aws import Aws
from local.demo import oracle, reconcile
from local.demo.reconcile import Reconciliation
from local.esm.mapping import EventSourceMapping
from local.esm.quiet import wait_until_idle
from local.runtime import Function
from local.stack import Project, Stack
from local.template import TableSpec

TABLE, DELETIONS = "members", "members-deletions"
REGIONS = ("us-east-1", "eu-west-1")
"""As multi_active/replica.py declares them. If two times are equal, the first region wins."""
DECLARED = Path(__file__).with_name("multi_active")
BRANCH = "multi-active"
_KEY = ({"AttributeName": "id", "KeyType": "HASH"},), ({"AttributeName": "id", "AttributeType": "S"},)
_MEMBERS = 30
_PAUSE_SECONDS = 0.005

Item = dict[str, Any]


@dataclass(slots=True)
class Edits:
    """The edits of one region's application, for each item in order. A delete is recorded with what it deleted."""

    region: str
    client: Any
    rng: random.Random
    done: int = 0
    made: dict[str, tuple[tuple[int, int, int], Item]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)

    def one(self) -> None:
        """Makes one edit: a put, an update of the item as it was a moment ago, or a delete."""
        name, draw = f"m{self.rng.randrange(_MEMBERS)}", self.rng.random()
        key = {"id": {"S": name}}
        if draw < 0.25:
            old = self.client.delete_item(TableName=TABLE, Key=key, ReturnValues="ALL_OLD").get("Attributes")
            self.deleted += [old["edit"]["S"]] if old else []
        else:
            stood = self.client.get_item(TableName=TABLE, Key=key).get("Item", {}) if draw < 0.6 else {}
            self.client.put_item(TableName=TABLE, Item=self._item({**stood, **key}))
        self.done += 1

    def _item(self, item: Item) -> Item:
        edit, at = f"{self.region}/{self.done}", int(time.time() * 1000)
        made = {**item, "edit": {"S": edit}, "changed_at": {"N": str(at)}}
        self.made[edit] = (at, -REGIONS.index(self.region), self.done), made
        return made


class Pair:
    """Both regions' stacks, and the applications that write there."""

    def __init__(self, stacks: Mapping[str, Stack], seed: int) -> None:
        self._stacks = stacks
        self._edits = [
            Edits(region, stack.aws.client("dynamodb"), random.Random(f"{seed}/{region}"))
            for region, stack in stacks.items()
        ]
        self.mappings: dict[str, EventSourceMapping] = {}

    @classmethod
    @contextmanager
    def started(cls, endpoint: str, seed: int, log: Callable[[str, str], None]) -> Iterator["Pair"]:
        """With a stack in each region, as docs/functions/multi-active.md describes."""
        project = Project(declared={"replicate": DECLARED})
        with ExitStack() as held:
            stacks = {}
            for region in REGIONS:
                others = ",".join(each for each in REGIONS if each != region)
                given = {"ReplicaTableName": TABLE, "ReplicaRegion": others, "TombstoneTableName": DELETIONS}
                stacks[region] = held.enter_context(Stack(project, Aws.at_emulator(endpoint, region), given, log))
            yield cls(stacks, seed)

    def prepare(self) -> None:
        """Builds the functions and makes the tables."""
        for stack in self._stacks.values():
            stack.prepare(["replicate"])
            stack.create_replica(TableSpec(TABLE, *_KEY))

    def attach(self) -> None:
        """Attaches each region's function to its table's stream."""
        for region, stack in self._stacks.items():
            table = stack.aws.client("dynamodb").describe_table(TableName=TABLE)["Table"]
            self.mappings[f"{BRANCH} {region}"] = stack.attach(table["LatestStreamArn"], ["replicate"])["replicate"]

    def functions(self) -> dict[str, Function]:
        """The functions, by the names of their mappings."""
        return {f"{BRANCH} {region}": stack.function("replicate") for region, stack in self._stacks.items()}

    def write(self, edits: int, share_done: Callable[[], float]) -> None:
        """Makes `edits` edits in each region, no faster than the rest of the workload."""

        def run(each: Edits) -> None:
            while each.done < edits:
                if each.done < edits * share_done() or share_done() >= 1:
                    each.one()
                else:
                    time.sleep(_PAUSE_SECONDS)

        with ThreadPoolExecutor(len(self._edits)) as pool:
            for future in [pool.submit(run, each) for each in self._edits]:
                future.result()

    def settle(self, seconds: float) -> None:
        """Waits until neither function has anything to do. Raises LocalError after so many seconds."""
        wait_until_idle(self.mappings.values(), seconds)

    def counts(self) -> Counter[str]:
        """The metrics of both functions, added up."""
        return sum((Counter(each.metrics.counts()) for each in self.functions().values()), Counter())

    def reconcile(self) -> Reconciliation:
        """Compares both tables with the items that the rule makes of all edits."""
        should = expected_items(self._edits)
        expected = {f"{region} {name}": item for region in REGIONS for name, item in should.items()}
        actual = {
            f"{region} {name}": row
            for region, stack in self._stacks.items()
            for name, row in _rows(stack.aws.client("dynamodb")).items()
        }
        return reconcile.compare(BRANCH, oracle.Expectation(expected), actual)


def expected_items(edits: Sequence[Edits]) -> dict[str, Any]:
    """The expected items: the greatest of all edits of each. A delete follows right after the version that it
    deleted."""
    made = {edit: entry for each in edits for edit, entry in each.made.items()}
    ends: dict[str, list[tuple[tuple[int, ...], Item | None]]] = {}
    for order, item in made.values():
        ends.setdefault(item["id"]["S"], []).append(((*order, 0), item))
    for edit in (edit for each in edits for edit in each.deleted):
        order, item = made[edit]
        ends[item["id"]["S"]].append(((*order, 1), None))
    greatest = {name: max(entries, key=lambda entry: entry[0])[1] for name, entries in ends.items()}
    return oracle.rows_of((item for item in greatest.values() if item), lambda item: str(item["id"]["S"]))


def _rows(client: Any) -> dict[str, Any]:
    return oracle.rows_of(reconcile.scan(client, TABLE), lambda item: str(item["id"]["S"]))
