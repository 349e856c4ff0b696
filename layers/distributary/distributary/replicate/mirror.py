"""Another region's table, one way: the declared items of the source, under the same keys, with the same types."""

from collections.abc import Mapping, Sequence

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import IGNORED, Outcome
from distributary.dynamodb.versioned_table import Register, Write
from distributary.errors import Rejected, Unavailable
from distributary.replicate.declarations import Mirror
from distributary.stream import version as versions
from distributary.stream.change import Change, Image, Kind, rewritten
from distributary.stream.codec import Typed, for_client
from distributary.stream.entity import concerns
from distributary.stream.keys import bounded, identity
from distributary.stream.struct import Struct, field, replace

TOMBSTONE_ID_BYTES = 1024

CALLS = 100
"""At once through threads, since each crosses to another region."""

REQUESTS = 700
"""At once to all other regions, through one thread, each over its own connection, of which a batch opens only as many
as it has changes. A function may have 1,024 open files
(https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html), of which `CALLS` may be connections to tables
in its own region, and as many to S3."""


class MirrorBranch(Struct, frozen=True):
    """Keeps in the register's table what `declared` says, plus the version attribute. `sliced`: the register's client
    takes attributes as the text that was received."""

    register: Register
    name: str
    declared: Mirror = field(default_factory=Mirror)
    sliced: bool = False

    def apply(self, changes: Sequence[Change], deadline: Deadline) -> list[Outcome]:
        """See `consume.Branch`. What another mirror wrote into the source is ignored; otherwise two mirrors that face
        each other would never come to rest. What a mirror of an earlier generation wrote is carried: it was reversed,
        and this one resumes."""
        ends: list[Outcome] = [IGNORED] * len(changes)
        writes, owners = [], []
        for place, change in enumerate(changes):
            try:
                if self.concerned(change):
                    writes.append(self.plan(change))
                    owners.append(place)
            except Rejected as error:
                ends[place] = outcomes.parked(error)
            except Unavailable as error:
                ends[place] = outcomes.failed(error)
        for owner, end in zip(owners, self.register.write(_agreed(writes), deadline), strict=True):
            ends[owner] = end
        return ends

    def concerned(self, change: Change) -> bool:
        """Whether the change may alter the replica. An ignored delete by TTL marks what it leaves behind, and an insert
        may find that. Raises Rejected if a predicate fails on the item, Unavailable if the source has other keys than
        declared."""
        if self.declared.of is not None and not self.declared.of.reads(change.source):
            return False
        self.declared.check_keys(change.keys)
        if not self.declared.owns(change.keys):
            return False
        if rewritten(change, self.register.version_attribute) and not self._resumes(change):
            return False
        if self.keeps_expired:
            if change.expired:
                return change.old is not None and self.declared.holds(change.old)
            if change.kind is Kind.INSERT:
                return True
        return concerns(change, self.declared.holds, self.declared.claims)

    def _resumes(self, change: Change) -> bool:
        """Whether a mirror of an earlier generation wrote the new image."""
        typed = change.new.raw.get(self.register.version_attribute, {}) if change.new is not None else {}
        return versions.generation_in(typed.get("S")) < versions.generation_of(change.version)

    @property
    def keeps_expired(self) -> bool:
        """Whether rows outlive items that TTL deletes. Their versions then have marks: a row that has none, and no
        item, may be of a release that wrote none, so it is kept as well."""
        return self.declared.expired == "ignore"

    def plan(self, change: Change) -> Write:
        """The replica's row as the change leaves it. Raises Rejected for an item of which there can be none."""
        key = {name: for_client(typed, name) for name, typed in change.keys.raw.items()}
        kept = self.keeps_expired and change.expired
        shown = change.old if kept else change.new
        row = self.declared.row(shown, self.sliced) if shown is not None and self.declared.holds(shown) else None
        mark = versions.KEPT if kept else versions.LIVE if self.keeps_expired and row is not None else ""
        claimed = any(image is not None and self.declared.claims(image) for image in (change.old, change.new))
        return Write(self.row_id(change.keys.raw), key, row, change.version, spares_unversioned=not claimed, mark=mark)

    def row_id(self, keys: Mapping[str, Typed]) -> str:
        """See `Write.id`."""
        return bounded(f"{self.name}|{identity(keys)}", TOMBSTONE_ID_BYTES)

    def judges(
        self, keys: Mapping[str, Typed], item: Mapping[str, Typed] | None, row: Mapping[str, Typed] | None
    ) -> bool:
        """Whether the mirror decides about the replica's `row` under these keys. It does not outside its prefix. A row
        without a version, and without an item of the mirror's, is another writer's unless the declaration claims it.
        Raises Rejected if a predicate fails."""
        if not self.declared.owns(Image(keys)):
            return False
        if row is None or self.register.version_attribute in row:
            return True
        return any(image is not None and self.declared.claims(Image(image)) for image in (item, row))


def _agreed(writes: Sequence[Write]) -> list[Write]:
    """Of a row's writes only the newest is made. It takes an unversioned row away if any of them would."""
    taking = {write.id for write in writes if not write.spares_unversioned}
    return [
        replace(write, spares_unversioned=False) if write.spares_unversioned and write.id in taking else write
        for write in writes
    ]
