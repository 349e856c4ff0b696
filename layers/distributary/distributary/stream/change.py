"""What a change is: one item, before and after, and where it stands in the item's history."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from distributary.errors import Rejected
from distributary.stream.codec import Typed, Value, decode
from distributary.stream.struct import Struct

REPLICA_VERSION = "_distributary_version"
"""The attribute in which a row of a derived table or a mirror carries its version: a string of 46 digits, to which a
repair adds `~` and a random revision (see `version.to_text`). In multi-active it holds the item's stamp."""


class Kind(StrEnum):
    """What happened to the item."""

    INSERT = "INSERT"
    MODIFY = "MODIFY"
    REMOVE = "REMOVE"


class Origin(StrEnum):
    """Where the change comes from. Only a streamed change is new; the others repeat what happened before."""

    STREAM = "stream"
    SNAPSHOT = "snapshot"
    REDRIVE = "redrive"


class Image(Mapping[str, Value]):
    """An item: a read-only mapping from attribute names to Python values.

    An attribute is decoded when it is read for the first time. Reading raises KeyError if the item lacks the attribute,
    and Rejected if its content is not a DynamoDB value. `raw` is the item in DynamoDB JSON, exactly as it was received.
    """

    __slots__ = ("_decoded", "raw")

    def __init__(self, raw: Mapping[str, Typed]) -> None:
        self.raw = raw
        self._decoded: dict[str, Value] | None = None

    def typed(self, name: str) -> Typed:
        """One attribute in DynamoDB JSON. Raises KeyError if the item lacks it."""
        return self.raw[name]

    def has(self, attributes: Mapping[str, Typed]) -> bool:
        """Whether the item has these attributes, in DynamoDB JSON."""
        return all(name in self and self.typed(name) == typed for name, typed in attributes.items())

    def release(self) -> None:
        """Forgets what was decoded, if it can be decoded again. A branch calls it once it has read the item: then one
        item's memory serves the next, and a batch does not fill the processor's caches with what is not read again."""

    def compact(self) -> bytes | None:
        """The text of `raw` as it was received, if an encoder that writes no spaces writes the same: then it is
        UTF-8 in one line, and no name is in it twice. None otherwise."""
        return None

    def slices(self) -> Mapping[str, Any] | None:
        """Each attribute as the text that was received (`msgspec.Raw`), for a request that carries it as it is. None
        if it was not received as text, or may say something else than `raw` does: then it is no UTF-8, has a name
        twice or a lone surrogate, or is no DynamoDB JSON. Whether a number or a set is one, the table judges."""
        return None

    def __getitem__(self, name: str) -> Value:
        decoded = self._decoded
        if decoded is None:
            decoded = self._decoded = {}
        if name in decoded:
            return decoded[name]
        value = decoded[name] = decode(self.raw[name], name)
        return value

    def __contains__(self, name: object) -> bool:
        return name in self.raw

    def __iter__(self) -> Iterator[str]:
        return iter(self.raw)

    def __len__(self) -> int:
        return len(self.raw)

    def __repr__(self) -> str:
        return f"Image({', '.join(self.raw)})"


class Change(NamedTuple):
    """One change of one item. A named tuple: as frozen as a dataclass, and made in a third of the time.

    `identifier` is what Lambda wants back if the change failed, `record` the change as received, `created` seconds
    since the epoch (None if the record does not say), `source` the stream's ARN, `expired` a delete by TTL.
    """

    event_id: str
    kind: Kind
    keys: Image
    old: Image | None
    new: Image | None
    version: int
    created: float | None
    source: str
    expired: bool
    origin: Origin
    identifier: str
    record: Mapping[str, Any]

    def creation_time(self) -> float:
        """`created`, for what depends on it. Raises Rejected if the record does not say."""
        if self.created is None:
            raise Rejected("the record has no ApproximateCreationDateTime, by which this change is ordered")
        return self.created

    @property
    def first_fill(self) -> bool:
        """Whether this is a snapshot that fills an empty branch: there is nothing downstream that it could remove."""
        return self.origin is Origin.SNAPSHOT and self.record.get("distributary", {}).get("first_fill") is True

    @classmethod
    def snapshot(
        cls,
        keys: Mapping[str, Typed],
        item: Mapping[str, Typed] | None,
        version: int,
        created: float = 0.0,
        event_id: str = "",
        source: str = "",
    ) -> "Change":
        """An item as it is now, as a change that no stream delivered; a delete if there is no item."""
        return cls(
            event_id=event_id,
            kind=Kind.REMOVE if item is None else Kind.INSERT,
            keys=Image(keys),
            old=None,
            new=None if item is None else Image(item),
            version=version,
            created=created,
            source=source,
            expired=False,
            origin=Origin.SNAPSHOT,
            identifier="",
            record={},
        )


def rewritten(change: Change, attribute: str) -> bool:
    """Whether a replicator wrote the new image: the attribute in which it keeps its version has changed. An
    application's write leaves it as it was, or leaves it out. Raises Rejected if it is nested too deep to be compared.
    """
    old, new = change.old, change.new
    if new is None or attribute not in new:
        return False
    try:
        return old is None or attribute not in old or old.typed(attribute) != new.typed(attribute)
    except RecursionError:
        raise Rejected(f"attribute '{attribute}': nested too deep") from None


class Unlisted(Struct, frozen=True):
    """A record of a stream that this function is not to read, which is `foreign`, or of which the sink could not be
    asked: it is failed, never parked, since all of the stream's records would be."""

    event_id: str
    identifier: str
    record: Any
    cause: str
    foreign: bool = True


class Undecodable(Struct, frozen=True):
    """A record that is no change: it is parked as it came."""

    event_id: str
    identifier: str
    record: Any
    cause: str
    detail: str = ""
