"""What a declaration reads of an item: its attributes, what is computed of it, and the member that `each` is at."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from distributary.stream.change import Image
from distributary.stream.codec import Typed, Value, decode, encode
from distributary.stream.computed import Source, within
from distributary.stream.entity import guarded

EACH = "each"
"""What templates and functions call a member of what a view's `each` names. `each.NAME` is inside a member."""

_NOTHING = object()


class Scope(Image):
    """An item with the computed attributes by their names; one that is None is missing. Reading raises Rejected if a
    function fails. `image` is the item itself."""

    __slots__ = ("_computed", "_functions", "_member", "image")

    def __init__(self, image: Image, functions: Mapping[str, Callable[[Image], Value]], member: Any = _NOTHING) -> None:
        self.image, self._functions, self._member = image, functions, member
        self._computed: dict[str, Value] = {}

    @property
    def raw(self) -> Mapping[str, Typed]:  # type: ignore[override]
        """The item in DynamoDB JSON, without what is computed."""
        return self.image.raw

    def typed(self, name: str) -> Typed:
        """See `Image.typed`."""
        return self.image.typed(name)

    def at(self, member: Value) -> "Scope":
        """The same item at one of its members."""
        return Scope(self.image, self._functions, member)

    def computed(self, name: str) -> Value:
        """A computed attribute, also if it is None."""
        if name not in self._computed:
            found = guarded(f"compute '{name}'", self._functions[name], Scope(self.image, {}, self._member))
            self._computed[name] = decode(encode(found, name), name)
        return self._computed[name]

    def __getitem__(self, name: str) -> Value:
        if self._functions and name in self._functions:
            found = self.computed(name)
        elif self._member is _NOTHING:
            return self.image[name]
        elif name == EACH:
            found = self._member
        elif name.startswith(f"{EACH}."):
            found = within(self._member, name.split(".")[1:])
        else:
            return self.image[name]
        if found is None:
            raise KeyError(name)
        return found

    def __contains__(self, name: object) -> bool:
        if not self._functions and self._member is _NOTHING:
            return name in self.image
        try:
            self[str(name)]
        except KeyError:
            return False
        return True

    def __iter__(self) -> Iterator[str]:
        own = {EACH: None} if self._member is not _NOTHING else {}
        return iter({**dict.fromkeys(self.image), **own, **dict.fromkeys(n for n in self._functions if n in self)})

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"Scope({', '.join({**dict.fromkeys(self.image), **dict.fromkeys(self._functions)})})"


def read(what: str, source: Source | None, scope: Scope) -> Any:
    """What a source gives; None if there is nothing. Raises Rejected with `what` in front if a function fails."""
    if source is None:
        return None
    return guarded(what, source, scope) if callable(source) else scope.get(source)
