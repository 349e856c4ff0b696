"""The declarations that an index's documents were written under, kept in the index's own document, until a rebuild has
brought all documents to the declaration of now."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

from distributary.errors import Unavailable
from distributary.index.opensearch.bindings import Binding, line_of, read, write
from distributary.stream.described import Description, added, changes
from distributary.stream.struct import Struct, field, replace

_TRIES, _SECONDS = 5, 300.0


class Kept(NamedTuple):
    """An index: its own name and its write alias, and its declarations of now as one description."""

    physical: str
    alias: str
    declared: Description


class History(Struct, frozen=True):
    """Of indexes by the names that they are declared with. The first description of an index is that of its first fill
    or last rebuild; those that documents were written under since then follow. `told` is called by each check while a
    rebuild is due."""

    client: Any
    indexes: Mapping[str, Kept]
    now: Callable[[], float]
    told: Callable[[], None] = lambda: None
    _checked: dict[str, tuple[float, bool]] = field(default_factory=dict)

    def check(self) -> None:
        """One request per environment every few minutes: an earlier version that comes back says so. The first time of
        all, and for other declarations, one more, which comes before any document. Raises Unavailable, ConfigError."""
        until, due = self._checked.get("", (0.0, False))
        if self.now() >= until:
            due = bool(self.due())
            self._checked[""] = self.now() + _SECONDS, due
        if due:
            self.told()

    def due(self) -> dict[str, list[str]]:
        """By index, the fields that other declarations had, under which documents were written. What is declared now is
        among those that are kept, from here on. Raises as `check`."""
        kept = self._rewritten(lambda name, before: added({name: before}, self._of(name))[name])
        return changes(kept, {name: each.declared for name, each in self.indexes.items()}).changed

    def rebuilt(self, names: Collection[str]) -> None:
        """All documents of these indexes are as declared now. Raises as `check`."""
        self._rewritten(lambda name, before: [self.indexes[name].declared] if name in names else before)

    def repaired(self, seen: Mapping[str, Sequence[Description]]) -> None:
        """All documents of these indexes are as declared now, if functions write them under these declarations and no
        other one was noted since `seen`, which `written` said before a repair began. Raises as `check`."""

        def content(name: str, before: list[Description]) -> Sequence[Description]:
            now = self.indexes[name].declared
            return [now] if now in before and before == seen.get(name) else before

        self._rewritten(content)

    def written(self) -> dict[str, list[Description]]:
        """What is kept of each index; nothing writes. Raises as `check`."""
        found = self._read()
        return {name: _kept(found[name], each) for name, each in self.indexes.items()}

    def _of(self, name: str) -> dict[str, Description]:
        return {name: self.indexes[name].declared}

    def _read(self) -> dict[str, Binding]:
        found = read(self.client, [each.physical for each in self.indexes.values()])
        return {name: found[each.physical] for name, each in self.indexes.items()}

    def _rewritten(
        self, content: Callable[[str, list[Description]], Sequence[Description]]
    ) -> dict[str, Sequence[Description]]:
        for _ in range(_TRIES):
            found, lines, kept = self._read(), [], dict[str, Sequence[Description]]()
            for name, each in self.indexes.items():
                kept[name] = content(name, _kept(found[name], each))
                if tuple(kept[name]) != found[name].declared:
                    place = {"_index": each.alias, "require_alias": True}
                    lines.append(line_of(place, replace(found[name], declared=tuple(kept[name]))))
            if not lines or write(self.client, lines):
                return kept
        raise Unavailable("what an index's documents were written under: other functions keep writing it; try again")


def _kept(found: Binding, each: Kept) -> list[Description]:
    return list(found.declared) or [each.declared]
