"""The merge states of a region's items, in a table beside the items' own: the rows show them."""

import json
import zlib
from functools import cache
from typing import Any

from distributary.dynamodb.steps import Steps
from distributary.replicate.multi_active.conditional_rows import Row, Rows
from distributary.replicate.multi_active.crdt import (
    MergeState,
    Name,
    Part,
    Revision,
    Sibling,
    numbers,
    texts,
    timestamp_of,
)
from distributary.stream import canonical
from distributary.stream.codec import for_client
from distributary.stream.format import format_of
from distributary.stream.keys import bounded, identity
from distributary.stream.struct import Struct, field

ID_BYTES = 1024


class Stored(Struct, frozen=True):
    """A merge state as it is stored; `revision` names its content, None if nothing is stored."""

    known: MergeState = field(default_factory=MergeState)
    revision: str | None = None


class MergedReplica(Struct, frozen=True):
    """One item in one region: its row, and its merge state of `revision` (S) and `state` (B, compressed JSON), under an
    `id` that names the item and its table. Raises as `Rows` does."""

    rows: Rows
    key: Row
    id: str

    @classmethod
    def of(cls, rows: Rows, keys: Row) -> "MergedReplica":
        """Raises Rejected for a key that is none."""
        key = {name: for_client(typed, name) for name, typed in keys.items()}
        return cls(rows, key, bounded(f"merged/{rows.table}/{identity(keys)}", ID_BYTES))

    @property
    def region(self) -> str:
        """Where it is."""
        return self.rows.region

    def look(self) -> Steps[tuple[Row | None, Stored]]:
        """The row and its merge state; 1 read unit per 4 KB of each."""
        row, kept = yield from self.rows.look(self.key, self.id)
        return row, self._stored(kept)

    def read(self) -> Steps[Stored]:
        """The merge state; 1 read unit per 4 KB."""
        return self._stored((yield from self.rows.kept(self.id)))

    def replace(self, stood: Stored, known: MergeState) -> Steps[Stored | None]:
        """Written on condition that what is stored is as it was read; None if not."""
        body = _written(known)
        revision = canonical.digest(body)
        content = {"revision": {"S": revision}, "state": {"B": zlib.compress(body.encode())}}
        seen = {} if stood.revision is None else {"revision": {"S": stood.revision}}
        gone = all(part.sibling is None for part in known.parts.values())
        kept = yield from self.rows.keep(self.id, content, seen, gone)
        return Stored(known, revision) if kept else None

    def _stored(self, kept: Row | None) -> Stored:
        if kept is None:
            return Stored()
        written = format_of(kept)
        body = json.loads(zlib.decompress(bytes(kept["state" if written else "known"]["B"])))
        return Stored(_read(body) if written else upgraded(body, self.region), kept["revision"]["S"])


def _written(known: MergeState) -> str:
    """Each value is written once: the regions' images have most of them in common."""
    values: dict[str, int] = {}

    def place(value: Any) -> int:
        return values.setdefault(canonical.text(value), len(values))

    time = cache(lambda at: place(at.as_json()))
    parts = [
        [
            name,
            [str(part.revision.position), part.revision.changes, part.revision.digest],
            part.sibling
            and [
                time(part.sibling.at),
                [[list(cell), place(value)] for cell, value in sorted(part.sibling.image.items())],
                texts(part.sibling.seen),
            ],
            [[list(cell), time(at)] for cell, at in sorted(part.cells.items())],
            part.tombstone and part.tombstone.as_json(),
            str(part.floor),
            [[str(at), digest] for at, digest in sorted(part.digests.items())],
        ]
        for name, part in sorted(known.parts.items())
    ]
    return canonical.text([parts, [json.loads(value) for value in values]])


def _read(body: Any) -> MergeState:
    parts, values = body
    time = cache(lambda place: timestamp_of(values[place]))
    return MergeState(
        {
            name: Part(
                Revision(int(position), changes, digest),
                sibling and Sibling(time(sibling[0]), _cells(sibling[1], values), numbers(sibling[2])),
                {tuple(cell): time(at) for cell, at in cells},
                tombstone and timestamp_of(tombstone),
                int(floor),
                {int(at): each for at, each in digests},
            )
            for name, (position, changes, digest), sibling, cells, tombstone, floor, digests in parts
        }
    )


def _cells(image: Any, values: Any) -> dict[Name, Any]:
    return {tuple(cell): values[place] for cell, place in image}


def upgraded(body: Any, here: str) -> MergeState:
    """Of format 0, in which the newest write of each cell in any region was kept with its value, and the digest of the
    newest content of the region `here`."""
    dead, wholes, cells, values, versions, (_, digest) = body
    tombstone = dead and timestamp_of(dead)
    siblings = {at[1]: Sibling(timestamp_of(at), _cells(image, values), numbers(seen)) for at, image, seen in wholes}
    written = [(tuple(cell), timestamp_of(at)) for cell, at, _ in cells]
    positions = ({tombstone.region: -1} if tombstone else {}) | numbers(versions)
    return MergeState(
        {
            region: Part(
                Revision(position),
                siblings.get(region),
                {cell: at for cell, at in written if at.region == region and region in siblings},
                tombstone if tombstone and tombstone.region == region else None,
                digests={position: digest} if region == here else {},
            )
            for region, position in positions.items()
        }
    )
