"""Declarations that rows were written under and that are not their views' any more: whose rows these were."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distributary.derive.delta import Key
from distributary.derive.view import View
from distributary.stream.codec import Typed
from distributary.stream.described import Description
from distributary.stream.keys import Template


@dataclass(frozen=True, slots=True)
class Former:
    """Of the view `name`, which is declared otherwise now, or no more."""

    name: str
    pk: Template
    sk: Template

    def owns(self, key: Key) -> bool:
        """Whether it made such keys."""
        return self.pk.read(key[0].partition("%s")[0]) is not None and self.sk.read(key[1]) is not None

    def item(self, key: Key, names: Sequence[str]) -> dict[str, Typed] | None:
        """The key attributes `names` of the item whose row was under the key; None if the templates hold not all."""
        found = {**(self.pk.read(key[0]) or {}), **(self.sk.read(key[1]) or {})}
        return {name: found[name] for name in names} if found.keys() >= set(names) else None


def formers(written: Mapping[str, Sequence[Description]], views: Sequence[View]) -> list[Former]:
    """Those whose keys are not the declared ones."""
    now = {view.name: (view.declared.pk, view.declared.sk) for view in views}
    keys = {(name, each["pk"], each["sk"]): None for name, found in written.items() for each in found if each}
    return [Former(name, Template.parse(pk), Template.parse(sk)) for name, pk, sk in keys if now.get(name) != (pk, sk)]
