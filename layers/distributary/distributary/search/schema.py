"""The OpenSearch index behind a declaration: made once, found again, never guessed."""

from typing import Any

from distributary.errors import ConfigError
from distributary.indexes import DELETED_AT, Index

VISIBLE = {"bool": {"must_not": [{"exists": {"field": DELETED_AT}}]}}
"""The read alias's filter: a deleted item's marker document is no search result."""


def definition(index: Index) -> dict[str, Any]:
    """Settings and mappings; `dynamic: strict`, so that an undeclared field is an error instead of a guess."""
    properties = {name: dict(mapping) for name, mapping in index.fields.items()}
    marker = {DELETED_AT: {"type": "date", "format": "epoch_second"}}
    return {"mappings": {"dynamic": "strict", "properties": {**properties, **marker}}}


def apply(client: Any, index: Index, generation: int) -> str:
    """Makes the index of this generation if it is missing and puts both aliases on it; safe to repeat.

    The read alias stays where it is if it stands on another generation: moving readers is a decision of its own.
    Returns what was done. Raises ConfigError if the existing index's mapping contradicts the declaration.
    """
    name = index.physical(generation)
    made = not client.indices.exists(index=name)
    if made:
        client.indices.create(index=name, body=definition(index))
    else:
        _check_mapping(client, index, name)
    actions: list[dict[str, Any]] = [{"add": {"index": name, "alias": index.write_alias(generation)}}]
    if not client.indices.exists_alias(name=index.name):
        actions.append({"add": {"index": name, "alias": index.name, "filter": VISIBLE}})
    client.indices.update_aliases(body={"actions": actions})
    return f"index '{name}' {'made' if made else 'found'}; write alias '{index.write_alias(generation)}'"


def _check_mapping(client: Any, index: Index, name: str) -> None:
    standing = client.indices.get_mapping(index=name)[name]["mappings"].get("properties", {})
    faults = []
    for field, mapping in definition(index)["mappings"]["properties"].items():
        if field not in standing:
            client.indices.put_mapping(index=name, body={"properties": {field: mapping}})
        elif standing[field].get("type", "object") != mapping["type"]:
            faults.append(f"field '{field}' is {standing[field].get('type')} in '{name}', {mapping['type']} declared")
    if faults:
        raise ConfigError([*faults, "raise Generation by one: a changed mapping needs an index of its own"])
