"""Declarations of OpenSearch indexes, checked before the first change."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from distributary.errors import ConfigError
from distributary.keys import Template
from distributary.views import Entity

DELETED_AT = "distributary_deleted_at"
"""What a marker document holds instead of an item: when the item was deleted, in epoch seconds."""

DOCUMENT_ID_BYTES = 512
"""https://docs.opensearch.org/latest/field-types/metadata-fields/id/"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """The documents of one entity.

    `name` is the alias that readers use, `id` a template (see `keys.Template`) over the entity's keys, `fields` each
    kept attribute with its OpenSearch mapping, such as `{"email": {"type": "keyword"}}`. A number that maps to
    keyword is written as its exact text, any other as a JSON number; sets are sorted arrays, binaries base64.
    """

    name: str
    of: Entity
    id: str
    fields: Mapping[str, Mapping[str, Any]]

    def write_alias(self, generation: int) -> str:
        """Where the function writes; it must exist, so that a missing index is never made by guesswork."""
        return f"{self.physical(generation)}-write"

    def physical(self, generation: int) -> str:
        """The index behind the aliases: each generation has its own."""
        return f"{self.name}-g{generation}"


def check(index: Index) -> Template:
    """The parsed id template. Raises ConfigError that names every fault at once."""
    faults = []
    entity = index.of
    if not index.name.islower() or set(index.name) & set(' "*\\<|,>/?#:') or index.name[:1] in "-_+":
        faults.append(f"index '{index.name}': a name is lowercase and has none of  \"*\\<|,>/?#:")
    template = Template(index.id, ())
    try:
        template = Template.parse(index.id)
    except ConfigError as error:
        faults += [f"index '{index.name}': {fault}" for fault in error.faults]
    else:
        if set(template.attributes) != set(entity.keys):
            faults.append(f"index '{index.name}': its id must use the entity's keys, all and only: {entity.keys}")
    for name, mapping in index.fields.items():
        if name not in {*entity.keys, *entity.attributes}:
            faults.append(f"index '{index.name}': entity '{entity.name}' does not declare '{name}'; add it")
        if mapping.get("type") in ("object", "nested") and "properties" not in mapping and "dynamic" not in mapping:
            faults.append(f"index '{index.name}': field '{name}' needs 'properties', or 'dynamic': true to take any")
        if name == DELETED_AT or "type" not in mapping:
            faults.append(f"index '{index.name}': field '{name}' needs a mapping with a type and another name")
    if faults:
        raise ConfigError(faults)
    return template
