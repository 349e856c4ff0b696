"""What is known of each item of a region's table, kept beside it: the row shows it."""

import json
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from distributary.replicate.multi_active.conditional_rows import Row, Rows, absent, equal
from distributary.replicate.multi_active.lattice import (
    Lattice,
    LWWRegister,
    MergeState,
    Sibling,
    VersionVector,
    rank_of,
)
from distributary.stream import canonical
from distributary.stream.codec import Typed
from distributary.stream.keys import bounded

ID_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Stored:
    """`seen` is the version and the digest of the newest image of an application's that went into it, the digest empty
    for a delete; `revision` names the whole, None if nothing is stored."""

    known: MergeState = field(default_factory=MergeState)
    seen: tuple[int, str] = (-1, "")
    revision: str | None = None


@dataclass(frozen=True, slots=True)
class MergeStateTable:
    """A region's table, and beside it `table` of `id` (S), `revision` (S), `known` (B, compressed JSON) and, once the
    item is deleted, `expires_at` (N, epoch seconds, the table's TTL attribute) after `days`. An `id` names an item
    among those of the table."""

    rows: Rows
    table: str
    lattice: Lattice
    days: int
    now: Callable[[], float] = time.time

    @property
    def region(self) -> str:
        """Where both tables are."""
        return self.rows.region

    def look(self, key: Row, id: str) -> tuple[Row | None, Stored]:
        """The row and what is known of it; 1 read unit per 4 KB of each. Raises Unavailable."""
        row, kept = self.rows.look(key, self.table, self._key(id))
        return row, _stored(kept)

    def read(self, id: str) -> Stored:
        """1 read unit per 4 KB. Raises Unavailable."""
        return _stored(self.rows.read(self.table, self._key(id)))

    def replace(self, id: str, stood: Stored, known: MergeState, seen: tuple[int, str]) -> Stored | None:
        """Written on condition that what stood is as it was read; None if not. Raises Unavailable or Rejected."""
        body = _written(known, seen)
        revision = canonical.digest(body)
        item = {**self._key(id), "revision": {"S": revision}, "known": {"B": zlib.compress(body.encode())}}
        if not known.wholes:
            item["expires_at"] = {"N": str(int(self.now()) + self.days * 86_400)}
        condition = absent("id") if stood.revision is None else equal({"revision": {"S": stood.revision}})
        if self.rows.conditionally(self.rows.client.put_item, self.table, condition, Item=item):
            return Stored(known, seen, revision)
        return None

    def _key(self, id: str) -> dict[str, dict[str, str]]:
        return {"id": {"S": bounded(f"merged/{self.rows.table}/{id}", ID_BYTES)}}


def _written(known: MergeState, seen: tuple[int, str]) -> str:
    """Each value stands once: the regions' items have most of them in common."""
    values: dict[str, int] = {}

    def place(value: Typed | None) -> int:
        return values.setdefault(canonical.text(value), len(values))

    wholes = [
        [
            whole.rank.as_json(),
            [[list(name), place(value)] for name, value in sorted(whole.image.items())],
            _texts(whole.seen),
        ]
        for _, whole in sorted(known.wholes.items())
    ]
    cells = [[list(name), cell.rank.as_json(), place(cell.value)] for name, cell in sorted(known.cells.items())]
    dead = known.dead and known.dead.as_json()
    kept = [json.loads(value) for value in values]
    return canonical.text([dead, wholes, cells, kept, _texts(known.versions), [str(seen[0]), seen[1]]])


def _stored(item: Row | None) -> Stored:
    if item is None:
        return Stored()
    dead, wholes, cells, kept, versions, seen = json.loads(zlib.decompress(bytes(item["known"]["B"])))
    found = [
        Sibling(rank_of(rank), {tuple(name): kept[at] for name, at in image}, _numbers(saw))
        for rank, image, saw in wholes
    ]
    known = MergeState(
        None if dead is None else rank_of(dead),
        {whole.rank.region: whole for whole in found},
        {tuple(name): LWWRegister(rank_of(rank), kept[at]) for name, rank, at in cells},
        _numbers(versions),
    )
    return Stored(known, (int(seen[0]), seen[1]), item["revision"]["S"])


def _texts(versions: VersionVector) -> dict[str, str]:
    return {region: str(version) for region, version in versions.items()}


def _numbers(versions: Any) -> dict[str, int]:
    return {region: int(version) for region, version in versions.items()}
