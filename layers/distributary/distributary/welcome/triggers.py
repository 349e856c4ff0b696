"""What happens to an item that a rule waits for."""

from typing import ClassVar, Protocol

from distributary.stream.change import Change, Image, Kind
from distributary.stream.codec import Value
from distributary.stream.struct import Struct


class Trigger(Protocol):
    """`kinds`: the stream's event names that it can occur in."""

    kinds: ClassVar[frozenset[Kind]]

    def item(self, change: Change) -> Image | None:
        """The item that the message is about, None if the change is not what is waited for."""

    def attributes(self) -> tuple[str, ...]:
        """The attributes that it looks at."""


class Inserted(Struct, frozen=True):
    """An item was inserted."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.INSERT})

    def item(self, change: Change) -> Image | None:
        """See `Trigger`."""
        return change.new if change.kind is Kind.INSERT else None

    def attributes(self) -> tuple[str, ...]:
        """See `Trigger`."""
        return ()


class Became(Struct, frozen=True):
    """An attribute took a value that it did not have: by an update, or because the item came with it."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.INSERT, Kind.MODIFY})
    attribute: str
    value: Value

    def item(self, change: Change) -> Image | None:
        """See `Trigger`."""
        if change.new is None or not self._has(change.new) or (change.old is not None and self._has(change.old)):
            return None
        return change.new

    def attributes(self) -> tuple[str, ...]:
        """See `Trigger`."""
        return (self.attribute,)

    def _has(self, item: Image) -> bool:
        if self.attribute not in item:
            return False
        value = item[self.attribute]
        return value == self.value and isinstance(value, bool) is isinstance(self.value, bool)


class Expired(Struct, frozen=True):
    """DynamoDB's TTL deleted the item. The message is about the item as it was. DynamoDB deletes an item within a few
    days of its time (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html)."""

    kinds: ClassVar[frozenset[Kind]] = frozenset({Kind.REMOVE})

    def item(self, change: Change) -> Image | None:
        """See `Trigger`."""
        return change.old if change.expired else None

    def attributes(self) -> tuple[str, ...]:
        """See `Trigger`."""
        return ()


INSERTED = Inserted()
EXPIRED = Expired()


def became(attribute: str, value: Value) -> Became:
    """An attribute took a value that it did not have, by an update or with a new item: `on=became("status", "active")`.

    Args:
        attribute: The attribute's name.
        value: The value: a string, a bool, or a number.
    """
    return Became(attribute, value)
