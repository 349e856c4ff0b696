"""The version attribute where regions merge: it names the very content that a replicator wrote with it.

A write that an application makes on top keeps the attribute and changes the content, or brings along an older attribute
that was written with other content; so neither is ever taken for the replicator's.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distributary.errors import Rejected
from distributary.replicate.multi_active.lattice import NONE, Rank, VersionVector, rank_of
from distributary.stream import canonical
from distributary.stream.codec import Typed

_LIVE, _GONE = "live", "gone"
_DIGITS = 46


@dataclass(frozen=True, slots=True)
class Marks:
    """Writes and recognises the attribute of this name: `live.<digest>.[rank, versions]`."""

    attribute: str

    def plain(self, image: Mapping[str, Typed]) -> dict[str, Any]:
        """The canonical item without the attribute. Raises Rejected for what is no DynamoDB value."""
        return canonical.image({name: typed for name, typed in image.items() if name != self.attribute})

    def text(self, plain: Mapping[str, Any], rank: Rank, versions: VersionVector = NONE) -> str:
        """Of a row (canonical, with its key) as of its newest write, and of what went into it; a dead rank marks the
        row before it is deleted."""
        stated = canonical.text([rank.as_json(), {region: str(version) for region, version in versions.items()}])
        return f"{_GONE if rank.dead else _LIVE}.{canonical.digest(plain, stated)}.{stated}"

    def read(self, image: Mapping[str, Typed] | None) -> Rank | None:
        """The rank that a replicator wrote this very image with; None if somebody else wrote it."""
        stated = self._stated(image)
        if stated is None or image is None:
            return None
        rank, versions = stated
        return rank if image[self.attribute].get("S") == self.text(self.plain(image), rank, versions) else None

    def seen(self, image: Mapping[str, Typed] | None) -> VersionVector:
        """What went into the row that this one, or its attribute, was made from."""
        stated = self._stated(image)
        return stated[1] if stated else NONE

    def _stated(self, image: Mapping[str, Typed] | None) -> tuple[Rank, VersionVector] | None:
        typed = (image or {}).get(self.attribute)
        found = str(typed.get("S", "")) if isinstance(typed, Mapping) else ""
        try:
            rank, versions = json.loads(found.split(".", 2)[2])
            return rank_of(rank), {str(region): _number(version) for region, version in versions.items()}
        except (LookupError, ValueError, TypeError, AttributeError, RecursionError, Rejected):
            return None


def _number(version: str) -> int:
    if len(version) > _DIGITS:
        raise ValueError
    return int(version)
