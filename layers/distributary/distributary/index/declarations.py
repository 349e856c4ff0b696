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

    Attributes:
        mapping: OpenSearch's mapping of the field.
        of: The attribute that the field is taken from, or a function of the item; the field's own name if None. If the
            function returns None, the document lacks the field. If it raises an error, the change is parked.
        json: Whether the attribute is a string that holds JSON, which is expanded; at most 100 levels deep.
        on_error: What becomes of a value that cannot be written, such as a string that holds no JSON: `"park"` parks
            the change, `"null"` writes a null in its place.
        max_keys: How many keys, at any depth, one document may bring into a `dynamic` object besides those that its
            mapping declares. Each becomes a field of the index, which has at most 1,000 by default
            (https://docs.opensearch.org/latest/install-and-configure/configuring-opensearch/index-settings/).
    """

    mapping: Mapping[str, Any]
    of: str | Callable[[Image], Any] | None = None
    json: bool = False
    on_error: Literal["park", "null"] = "park"
    max_keys: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """The documents of one entity's items in one index. Several declarations may share an index.

    The mapping's type decides how a value is written: a number is exact text in a `keyword`, and a JSON number in a
    `long` or `double`. Sets are sorted arrays, binaries are base64. A value that does not fit its type parks the
    change.

    Attributes:
        name: The alias that readers use: lowercase, at most 230 bytes.
        of: The entity.
        id: The document's id, a [template](stream.md#distributary.stream.keys.Template) over all of the entity's keys
            and nothing else. An id of more than 512 bytes, OpenSearch's limit, is replaced by its SHA-256.
        fields: The document's fields, each with its OpenSearch mapping, such as `{"email": {"type": "keyword"}}`, or
            with a `Field`. Attributes that are not named are left out.
        routing: A template over the entity's keys that chooses the shard.
        pipeline: The ingest pipeline that documents go through.
        since: The first generation that this declaration is for. While readers move to a changed mapping, keep the old
            declaration beside the new one.
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
