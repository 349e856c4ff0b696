"""Items and their rows, looked at on both sides, and judged by the mirror's own plan."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from distributary.dynamodb.versioned_table import Write
from distributary.errors import Rejected
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
    """One item that differs. `kind`: `missing`, `stale`, `dead` (stands and should not), or `frozen` (equal, but its
    version is none that a later change would win over). `evidence` is a digest of both sides."""

    kind: str
    keys: Keys
    write: Write
    row: Row | None
    evidence: str

    @property
    def name(self) -> str:
        """The item's."""
        return identity(self.keys)


@dataclass(slots=True)
class Comparison:
    """What a look found; `rejected` by item, with the reason: the mirror parks these."""

    findings: list[Finding] = field(default_factory=list)
    rejected: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Comparator:
    """Looks at both sides. `keys` are the tables' key attributes, `generation` and `version_attribute` the function's;
    a mirror that `keeps_expired` leaves rows whose items are gone, and nothing can be said of these. Only rows that
    are `versioned` can be `frozen`: those of regions that are all written carry more than a version. What the mirror
    does not judge (`MirrorBranch.judges`) is passed over."""

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
        return self._judged((self._key(item), item, rows.get(name)) for name, item in by_name.items())

    def orphans(self, page: Sequence[Row]) -> Comparison:
        """At replica rows just scanned: only at those without an item, since the items are looked at on their side."""
        by_name = {identity(self._key(row)): row for row in page}
        items = self.source.rows([self._key(row) for row in page], consistent=False)
        return self._judged((self._key(row), None, row) for name, row in by_name.items() if name not in items)

    def again(self, keys: Sequence[Keys]) -> Comparison:
        """At both sides, consistently. The replica first: what is newer on the source's side is then merely late."""
        rows, items = self.replica.rows(keys, consistent=True), self.source.rows(keys, consistent=True)
        by_name = {identity(each): each for each in keys}
        return self._judged((each, items.get(name), rows.get(name)) for name, each in by_name.items())

    def _judged(self, pairs: Iterable[tuple[Keys, Row | None, Row | None]]) -> Comparison:
        look = Comparison()
        for keys, item, row in pairs:
            if item is None and self.keeps_expired:
                continue
            try:
                if not self.judges(keys, item, row):
                    continue
                write = self._wanted(keys, item)
            except Rejected as error:
                look.rejected[identity(keys)] = str(error)
                continue
            kind = difference(write, row, self.generation, self.version_attribute)
            if kind and (self.versioned or kind != "frozen"):
                look.findings.append(Finding(kind, keys, write, row, digest(item, row)))
        return look

    def _wanted(self, keys: Keys, item: Row | None) -> Write:
        at = versions.of(self.generation, versions.SNAPSHOT_POSITION)
        change = Change.snapshot(keys, item, at)
        return self.plan(change) or Write(identity(keys), keys, None, change.version)

    def _key(self, row: Row) -> Keys:
        return {name: row[name] for name in self.keys}


def difference(write: Write, row: Row | None, generation: int, attribute: str = REPLICA_VERSION) -> str:
    """The kind, empty if the row is as it should be."""
    if write.row is None:
        return "" if row is None else "dead"
    if row is None:
        return "missing"
    if not same(_bare(write.row, attribute), _bare(row, attribute)):
        return "stale"
    return "" if attribute not in row or version_of(row, generation, attribute) is not None else "frozen"


def version_of(row: Row, generation: int, attribute: str = REPLICA_VERSION) -> int | None:
    """The version that a row carries; None if it is not of this generation or an earlier one, or no version at all."""
    version = versions.version_in(row.get(attribute, {}).get("S"))
    return None if version is None or versions.generation_of(version) > generation else version


def later_generation(row: Row | None, generation: int, attribute: str = REPLICA_VERSION) -> bool:
    """Whether the row carries a version of a later generation than this one."""
    version = versions.version_in((row or {}).get(attribute, {}).get("S"))
    return version is not None and versions.generation_of(version) > generation


def _bare(row: Mapping[str, Typed], attribute: str) -> dict[str, Typed]:
    return {name: typed for name, typed in row.items() if name != attribute}
