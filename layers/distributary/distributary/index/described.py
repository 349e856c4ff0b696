"""Declarations of an index as texts: what its documents depend on."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from distributary.index.declarations import Field, Index, of_generation
from distributary.index.opensearch.history import History, Kept
from distributary.stream.described import text


def described(sharing: Sequence[Index]) -> dict[str, str]:
    """All declarations of one index, as one description; each field begins with its entity's name."""
    return {f"{each.of.name}.{name}": said for each in sharing for name, said in _fields(each).items() if said}


def _fields(index: Index) -> dict[str, str]:
    entity = index.of
    found = {"of.keys": text(entity.keys), "of.where": text(entity.where), "of.table": text(entity.table)}
    found |= {"id": index.id, "routing": text(index.routing), "pipeline": text(index.pipeline)}
    return found | {f"fields.{name}": _field(name, each) for name, each in index.declared().items()}


def _field(name: str, each: Field) -> str:
    said = {"mapping": each.mapping, "of": each.of or name, "json": each.json, "on_error": each.on_error}
    return text(said | {"max_keys": each.max_keys})


def history(
    client: Any,
    declared: Sequence[Index],
    generation: int,
    now: Callable[[], float] = time.time,
    told: Callable[[], None] = lambda: None,
) -> History:
    """What the indexes of a generation were written under."""
    return History(client, _kept(declared, generation), now, told)


def _kept(declared: Sequence[Index], generation: int) -> dict[str, Kept]:
    found = of_generation(declared, generation)
    names = dict.fromkeys(each.name for each in found)
    sharing = {name: [each for each in found if each.name == name] for name in names}
    return {
        name: Kept(each[0].physical(generation), each[0].write_alias(generation), described(each))
        for name, each in sharing.items()
    }
