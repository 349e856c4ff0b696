"""Items and their rows, looked at on both sides, and judged by the mirror's own plan."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from distributary.consumer.deadline import FOREVER, Deadline
from distributary.dynamodb.versioned_table import Write
from distributary.errors import Rejected
from distributary.replicate.mirror import MirrorBranch
from distributary.replicate.verify.equality import Row, same
from distributary.replicate.verify.table import Keys, Side
from distributary.stream import version as versions
from distributary.stream.canonical import digest
from distributary.stream.change import REPLICA_VERSION, Change
from distributary.stream.codec import Typed
from distributary.stream.keys import identity

Plan = Callable[[Change], Write | None]
"""What the mirror makes of a change; None or a write without a row: there should be none."""

Judges = Callable[[Keys, Row | None, Row | None], bool]
"""Whether the mirror decides about a replica's row, by its keys, its item and the row itself."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One item. `kind`: `missing`, `stale`, `dead` (a row that should not be there), `frozen` (equal, but no later
    change would win over its version), or empty if nothing differs. `row` is None for one that the mirror does
    not judge; `gone`: there is no item. `evidence` is a digest of both sides if they differ."""

    kind: str
    keys: Keys
    write: Write
    row: Row | None
    evidence: str
    gone: bool = False

    @property
    def name(self) -> str:
        """The item's."""
        return identity(self.keys)


@dataclass(slots=True)
class Comparison:
    """What a look found; `rejected` by item, with its key and the reason: the mirror parks these."""

    findings: list[Finding] = field(default_factory=list)
    rejected: dict[str, tuple[Keys, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparator:
    """Looks at both sides. `keys` are the tables' key attributes, `generation` and `version_attribute` the function's;
    a mirror that `keeps_expired` leaves a row whose item is gone, unless its mark says that TTL did not take the item.
    Only rows that are `versioned` can be `frozen`: those of regions that are all written carry more than a version. A
    row that the mirror does not judge (`MirrorBranch.judges`) is none of its own."""

    source: Side
    replica: Side
    keys: tuple[str, ...]
    plan: Plan
    generation: int = 0
    version_attribute: str = REPLICA_VERSION
    keeps_expired: bool = False
    versioned: bool = True
    judges: Judges = lambda _keys, _item, _row: True

    def items(self, page: Sequence[Row]) -> Comparison:
        """At source items just scanned."""
        by_name = {identity(self._key(item)): item for item in page}
        rows = self.replica.rows([self._key(item) for item in page], consistent=False)
        return _differing(self._judged((self._key(item), item, rows.get(name)) for name, item in by_name.items()))

    def orphans(self, page: Sequence[Row]) -> Comparison:
        """At replica rows just scanned: only at those without an item, since the items are looked at on their side."""
        by_name = {identity(self._key(row)): row for row in page}
        items = self.source.rows([self._key(row) for row in page], consistent=False)
        gone = ((self._key(row), None, row) for name, row in by_name.items() if name not in items)
        return _differing(self._judged(gone))

    def again(self, keys: Sequence[Keys]) -> Comparison:
        """What differs, as `compare` finds it."""
        return _differing(self.compare(keys))

    def compare(self, keys: Sequence[Keys], deadline: Deadline = FOREVER) -> Comparison:
        """A finding for each item, at both sides, consistently. The replica first: what is newer on the source's side
        is then merely late."""
        rows = self.replica.rows(keys, consistent=True, deadline=deadline)
        items = self.source.rows(keys, consistent=True, deadline=deadline)
        by_name = {identity(each): each for each in keys}
        return self._judged((each, items.get(name), rows.get(name)) for name, each in by_name.items())

    def _judged(self, pairs: Iterable[tuple[Keys, Row | None, Row | None]]) -> Comparison:
        look = Comparison()
        for keys, item, row in pairs:
            try:
                judged = row if self.judges(keys, item, row) else None
                write = self._wanted(keys, item)
            except Rejected as error:
                look.rejected[identity(keys)] = keys, str(error)
                continue
            kind, gone = self._difference(write, judged, item is None), item is None
            look.findings.append(Finding(kind, keys, write, judged, digest(item, row) if kind else "", gone))
        return look

    def _difference(self, write: Write, row: Row | None, gone: bool) -> str:
        if gone and row is not None and self.keeps_expired:
            return "dead" if versions.mark_in(text_of(row, self.version_attribute)) == versions.LIVE else ""
        kind = difference(write, row, self.generation, self.version_attribute)
        return kind if self.versioned or kind != "frozen" else ""

    def _wanted(self, keys: Keys, item: Row | None) -> Write:
        at = versions.of(self.generation, versions.SNAPSHOT_POSITION)
        change = Change.snapshot(keys, item, at)
        return self.plan(change) or Write(identity(keys), keys, None, change.version)

    def _key(self, row: Row) -> Keys:
        return {name: row[name] for name in self.keys}


def of_mirror(
    branch: MirrorBranch, source: Side, replica: Side, generation: int, keys: tuple[str, ...] = ()
) -> Comparator:
    """Looks as this mirror plans. Without `keys` it compares items that are named, and scans none."""
    attribute, keeps = branch.register.version_attribute, branch.keeps_expired
    return Comparator(source, replica, keys, branch.plan, generation, attribute, keeps, judges=branch.judges)


def _differing(look: Comparison) -> Comparison:
    return Comparison([each for each in look.findings if each.kind], look.rejected)


def difference(write: Write, row: Row | None, generation: int, attribute: str = REPLICA_VERSION) -> str:
    """The kind, empty if the row is as it should be. A row that outlived an item is stale once there is one again."""
    if write.row is None:
        return "" if row is None else "dead"
    if row is None:
        return "missing"
    outlived = versions.mark_in(text_of(row, attribute)) == versions.KEPT
    if outlived or not same(bare(write.row, attribute), bare(row, attribute)):
        return "stale"
    return "" if attribute not in row or version_of(row, generation, attribute) is not None else "frozen"


def version_of(row: Row, generation: int, attribute: str = REPLICA_VERSION) -> int | None:
    """The version that a row carries; None if it is not of this generation or an earlier one, or no version at all."""
    version = versions.version_in(text_of(row, attribute))
    return None if version is None or versions.generation_of(version) > generation else version


def later_generation(row: Row | None, generation: int, attribute: str = REPLICA_VERSION) -> bool:
    """Whether the row carries a version of a later generation than this one."""
    version = versions.version_in(text_of(row, attribute))
    return version is not None and versions.generation_of(version) > generation


def text_of(row: Row | None, attribute: str = REPLICA_VERSION) -> str:
    """What stands in the row for its version; empty if there is no row, or no text."""
    text = (row or {}).get(attribute, {}).get("S", "")
    return text if isinstance(text, str) else ""


def bare(row: Mapping[str, Typed], attribute: str) -> dict[str, Typed]:
    """The row without its version."""
    return {name: typed for name, typed in row.items() if name != attribute}
