"""What a user declares: which items become documents of which index, and of which fields."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from distributary.stream.change import Image
from distributary.stream.entity import Entity

FORMAT = 2
"""How documents are written: under which ids, with which markers and versions. The write alias names it, so code of
another format has no alias to write to. Indexes of 0.1 name no format: theirs is 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a document that is more than an attribute under its own name.

    `mapping` is OpenSearch's, `of` the attribute that the field is taken from, or a function of the item (None leaves
    the field out). With `json`, a string is expanded as the JSON that it holds. `on_error` says what becomes of a value
    that cannot be written, such as a string that holds no JSON: "park" parks the change, "null" writes a null instead.
    `max_keys` is how many keys, at any depth, one document may bring into a `dynamic` object besides those that its
    mapping declares: each becomes a field of the index, which has a limit for all documents together.
    """

    mapping: Mapping[str, Any]
    of: str | Callable[[Image], Any] | None = None
    json: bool = False
    on_error: Literal["park", "null"] = "park"
    max_keys: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """The documents that one entity's items are in one index; several declarations may share an index.

    `name` is the alias that readers use, `id` a template (see `keys.Template`) over the entity's keys, all and only,
    `fields` each kept attribute with its OpenSearch mapping, such as `{"email": {"type": "keyword"}}`, or a `Field`.
    The mapping's type says how a value is written (`values.writer`): a number in a keyword as its exact text, in a
    long or double as a JSON number; sets as sorted arrays, binaries as base64. `routing` is a template over the keys,
    `pipeline` the ingest pipeline that a document goes through. `since` is the first generation that the declaration is
    of: while readers move to a changed mapping, the one before it stays declared beside it.
    """

    name: str
    of: Entity
    id: str
    fields: Mapping[str, Mapping[str, Any] | Field]
    routing: str | None = None
    pipeline: str | None = None
    since: int = 0

    def write_alias(self, generation: int, format: int = FORMAT) -> str:
        """Where the function writes; it must exist, so that a missing index is never made by guesswork."""
        return f"{self.physical(generation)}-write" + (f"-{format}" if format > 1 else "")

    def physical(self, generation: int) -> str:
        """The index behind the aliases: each generation has its own."""
        return f"{self.name}-g{generation}"

    def mappings(self) -> dict[str, dict[str, Any]]:
        """Each field's mapping."""
        return {name: dict(each.mapping) for name, each in self.declared().items()}

    def declared(self) -> dict[str, Field]:
        """Each field in full."""
        return {name: each if isinstance(each, Field) else Field(mapping=each) for name, each in self.fields.items()}


def of_generation(indexes: Sequence[Index], generation: int) -> list[Index]:
    """The declarations that a generation's documents are made by: of each name, those with the latest `since` that is
    not after it."""
    latest: dict[str, int] = {}
    for index in indexes:
        if index.since <= generation:
            latest[index.name] = max(latest.get(index.name, 0), index.since)
    return [index for index in indexes if latest.get(index.name) == index.since]
