"""The contract's index branch: persons in OpenSearch."""

from collections.abc import Iterable
from typing import Any, ClassVar

from distributary.index import Entity, Index
from distributary.index.factory import build
from distributary.index.opensearch.schema import apply
from distributary.index.settings import IndexSettings
from distributary.stream.codec import decode_item
from distributary.stream.keys import Template
from tests.contract.harness import Wrap, key_template
from tests.contract.source import Source
from tests.contract.world import World
from tests.fakes import opensearch
from tests.fakes.faults import Faults
from tests.unit.index_settings import clients, settings

FIELDS = {
    "email": {"type": "keyword"},
    "name": {"type": "text"},
    "status": {"type": "keyword"},
    "balance": {"type": "keyword"},
    "visits": {"type": "long"},
    "tags": {"type": "keyword"},
    "avatar": {"type": "binary"},
}


def declared(world: World) -> Index:
    """An index of this world's own."""
    person = Entity(
        name="person",
        keys=tuple(world.schema),
        attributes=tuple(FIELDS),
        where=lambda item: item.get("kind") != "robot",
    )
    return Index(name=world.name("people"), of=person, id=key_template(world.schema), fields=FIELDS)


def at_once(_: float) -> None:
    """What a bulk request's backoff comes to in a test."""


class IndexHarness:
    """See `Harness`."""

    name: ClassVar[str] = "index"
    rejected: ClassVar[dict[str, Any]] = {"visits": {"N": "27182818284590452300000000"}}
    sends: ClassVar[bool] = False
    agrees: ClassVar[bool] = False
    begins_with: ClassVar[float] = 0.0

    def prepare(self, world: World, generation: int) -> None:
        """See `Harness`. Readers are moved to the newest generation."""
        index = declared(world)
        if not world.opensearch.indices.exists(index=index.physical(generation)):
            apply(world.opensearch, index, generation)

    def branch(self, world: World, wrap: Wrap, generation: int) -> Any:
        """See `Harness`."""
        return self._built(world, wrap, settings(generation))

    def _built(self, world: World, wrap: Wrap, settings: IndexSettings) -> Any:
        search = wrap(world.opensearch, opensearch)
        return build([declared(world)], settings, clients(search), world.parallel, world.now, at_once)

    def check(self, world: World, source: Source, excused: Iterable[int] = (), generation: int = 0) -> None:
        """See `Harness`. Of the first generation, what the read alias shows; of a later one, what its index holds."""
        spared = {self._id(source, user) for user in excused}
        right = {self._id(source, user): self._right(item) for user, item in source.items.items() if _person(item)}
        standing = self.documents(world, generation)
        assert {k: v for k, v in standing.items() if k not in spared} == {
            k: v for k, v in right.items() if k not in spared
        }

    def held(self, world: World, source: Source, user: int) -> Any:
        """See `Harness`."""
        return self.documents(world, 0).get(self._id(source, user))

    def inject_faults(self, world: World, faults: Faults, source: Source, user: int) -> None:
        """See `Harness`."""
        world.opensearch.busy.add(self._id(source, user))

    def clear_faults(self, world: World, faults: Faults) -> None:
        """See `Harness`."""
        world.opensearch.busy.clear()

    def documents(self, world: World, generation: int) -> dict[str, Any]:
        """By id, as a reader finds them."""
        index = declared(world)
        world.opensearch.indices.refresh(index=index.physical(generation))
        read = index.physical(generation) if generation else index.name
        hits = world.opensearch.search(index=read, body={"size": 1000})["hits"]["hits"]
        found = {hit["_id"]: hit["_source"] for hit in hits}
        return {id: doc for id, doc in found.items() if "distributary_deleted_at" not in doc} if generation else found

    def _id(self, source: Source, user: int) -> str:
        template = Template.parse(key_template(source.table.schema))
        return template.render(decode_item(source.table.key(user)), 512)

    def _right(self, item: dict[str, Any]) -> dict[str, Any]:
        kept = {name: item[name] for name in FIELDS if name in item}
        return {name: _json(name, *next(iter(typed.items()))) for name, typed in kept.items()}


def _person(item: dict[str, Any]) -> bool:
    return bool(item["kind"]["S"] != "robot")


def _json(name: str, tag: str, content: Any) -> Any:
    """A visits count is a JSON number; all else stands as the event spells it, sets sorted."""
    if name == "visits":
        return int(content)
    return sorted(content) if tag == "SS" else content
