"""The OpenSearch index behind a declaration: made once, found again, never guessed."""

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any
from uuid import uuid4

from distributary.errors import ConfigError
from distributary.index.declarations import FORMAT, Index
from distributary.index.document import DELETED_AT
from distributary.index.opensearch import bindings

VISIBLE = {"bool": {"must_not": [{"exists": {"field": DELETED_AT}}]}}
"""The read alias's filter: a deleted item's marker document is no search result."""

Template = Mapping[str, Any]
"""What stands beside the declaration as <index>.json: `settings` (shards, replicas, analysis) and `mappings`, the
latter for what is no declared field, such as what an ingest pipeline adds."""

_META = "distributary"
_FIXED = ("analysis", "number_of_shards", "knn", "sort", "codec", "mode")
"""Settings that an index keeps as it was made with. https://docs.opensearch.org/latest/install-and-configure/configuring-opensearch/index-settings/"""

_PROBE = "%probe"
"""How no item's id begins: `keys.escape` never writes this."""


def definition(index: Index, template: Template | None = None) -> dict[str, Any]:
    """Settings and mappings; `dynamic: strict`, so that an undeclared field is an error instead of a guess.

    Raises ConfigError for a template that says what the declaration says, or what an index does not take.
    """
    given = dict(template or {})
    faults = [
        f"{index.name}.json: '{key}' is neither settings nor mappings" for key in {*given} - {"settings", "mappings"}
    ]
    mappings = dict(given.get("mappings", {}))
    declared = {**index.mappings(), DELETED_AT: {"type": "date", "format": "epoch_second"}, **bindings.MAPPINGS}
    more = dict(mappings.pop("properties", {}))
    faults += [
        f"{index.name}.json: field '{name}' is declared in indexes.py; say it there" for name in {*more} & {*declared}
    ]
    if faults:
        raise ConfigError(sorted(faults))
    settings = dict(given.get("settings", {}))
    settings = {**{key: each for key, each in settings.items() if key != "index"}, **settings.get("index", {})}
    body = {"dynamic": "strict", **mappings, "properties": {**more, **declared}}
    own = {
        "format": FORMAT,
        "hash": _hash([FORMAT, body, settings]),
        "fixed": _fixed(settings, FORMAT),
        "declared": _hash(index.mappings()),
    }
    return {"settings": settings, "mappings": {**body, "_meta": {**mappings.get("_meta", {}), _META: own}}}


def apply(client: Any, index: Index, generation: int, template: Template | None = None) -> str:
    """Makes the index of this generation if it is missing and puts both aliases on it; a second time does nothing.

    The read alias stays where it is if it is on another generation: moving readers is a decision of its own. An index
    of an older format is brought to this one: its write alias is replaced, so older code can no longer write there.
    Returns what was done. Raises ConfigError if the existing index contradicts the declaration, if a newer version of
    Distributary made it, or if the engine does not keep versions, without which a late change would overwrite a newer
    one.
    """
    name, wanted = index.physical(generation), definition(index, template)
    if not client.indices.exists(index=name):
        client.indices.create(index=name, body=wanted)
        done = "made"
    else:
        done = _amend(client, name, wanted)
    bindings.keep_format(client, name)
    _stand(client, index, generation)
    return f"index '{name}' {done}; write alias '{index.write_alias(generation)}'"


def _stand(client: Any, index: Index, generation: int) -> None:
    """Both aliases. The index's own stands on one index alone, with the filter that hides markers."""
    name, write = index.physical(generation), index.write_alias(generation)
    older = [index.write_alias(generation, each) for each in range(1, FORMAT)]
    actions: list[dict[str, Any]] = [
        {"remove": {"index": name, "alias": each}} for each in older if client.indices.exists_alias(name=each)
    ]
    if not client.indices.exists_alias(name=write):
        _probe(client, name)
        actions.append({"add": {"index": name, "alias": write}})
    if not client.indices.exists_alias(name=index.name):
        actions.append({"add": {"index": name, "alias": index.name, "filter": VISIBLE}})
    if actions:
        client.indices.update_aliases(body={"actions": actions})


def _amend(client: Any, name: str, wanted: Mapping[str, Any]) -> str:
    """Adds what is new to an index that stands. Raises ConfigError for what an index cannot become."""
    from opensearchpy.exceptions import RequestError

    standing = client.indices.get_mapping(index=name)[name]["mappings"]
    meta, target = standing.get("_meta", {}).get(_META, {}), wanted["mappings"]["_meta"][_META]
    format = _format(meta, name)
    if meta.get("hash") == target["hash"]:
        return "found as declared"
    faults = _contradictions(standing.get("properties", {}), wanted["mappings"]["properties"], name)
    if meta and meta["fixed"] != _fixed(wanted["settings"], format):
        faults.append(f"'{name}' was made with other settings among {', '.join(_FIXED)}")
    changeable = {key: each for key, each in wanted["settings"].items() if key not in _FIXED}
    if not faults:
        try:
            if changeable:
                client.indices.put_settings(index=name, body={"index": changeable})
            kept = {**standing.get("_meta", {}), **wanted["mappings"]["_meta"]}
            client.indices.put_mapping(index=name, body={**wanted["mappings"], "_meta": kept})
        except RequestError as error:
            faults.append(f"'{name}' cannot become what is declared: {error.error}: {error.info!s:.300}")
    if faults:
        raise ConfigError([*faults, "raise Generation by one: a changed mapping needs an index of its own"])
    if format < FORMAT:
        return f"brought from format {format} to {FORMAT}: run `distributary verify index --repair` once,"
    return "found, and brought up to the declaration"


def require_format(client: Any, name: str) -> None:
    """Raises ConfigError unless this code and the index's documents are of one format."""
    meta = client.indices.get_mapping(index=name)[name]["mappings"].get("_meta", {}).get(_META, {})
    format = _format(meta, name)
    if format < FORMAT:
        raise ConfigError(
            f"'{name}' has format {format}, this code writes format {FORMAT}: run `distributary index apply` for its "
            "generation first"
        )


def require_own(client: Any, index: Index, generation: int) -> None:
    """Raises ConfigError if the index was made by other mappings than this declaration's: then the function, which
    writes by the declaration, would have its documents refused there."""
    name = index.physical(generation)
    mappings = client.indices.get_mapping(index=name)[name]["mappings"]
    meta, properties = mappings.get("_meta", {}).get(_META, {}), mappings.get("properties", {})
    faults = _contradictions(properties, index.mappings(), name)
    faults += [f"field '{field}' is not in '{name}'" for field in index.mappings() if field not in properties]
    if meta.get("declared", _hash(index.mappings())) != _hash(index.mappings()):
        faults.append(f"index '{index.name}' declares other mappings than '{name}' was made with")
    if faults:
        raise ConfigError(
            [
                *faults,
                f"keep the declaration that '{name}' was made by in indexes.py, and put the changed one beside it with "
                f"since={generation + 1}",
            ]
        )


def _format(meta: Mapping[str, Any], name: str) -> int:
    """Of the documents in an index. Raises ConfigError if it is newer than this code."""
    format = int(meta.get("format", 1))
    if format > FORMAT:
        raise ConfigError(
            f"'{name}' has format {format}, this code knows formats up to {FORMAT}: deploy the version of Distributary "
            "that made it, or a newer one"
        )
    return format


def _contradictions(standing: Mapping[str, Any], wanted: Mapping[str, Any], name: str) -> list[str]:
    there = {field: mapping.get("type", "object") for field, mapping in standing.items()}
    declared = {field: mapping.get("type", "object") for field, mapping in wanted.items()}
    return [
        f"field '{field}' is {there[field]} in '{name}', {type} declared"
        for field, type in declared.items()
        if there.get(field, type) != type
    ]


def _probe(client: Any, name: str) -> None:
    """An older version must lose, or nothing is written there: the aliases come after this."""
    from opensearchpy.exceptions import ConflictError, RequestError

    marker, id = {DELETED_AT: int(time.time())}, f"{_PROBE}-{uuid4().hex}"
    try:
        for version in (2, 1):
            client.index(index=name, id=id, body=marker, params={"version": version, "version_type": "external_gte"})
    except ConflictError:
        client.delete(index=name, id=id)
        return
    except RequestError as error:
        raise ConfigError(
            f"'{name}' takes no external versions ({error.error}): use a domain or a search collection"
        ) from error
    raise ConfigError(f"'{name}' takes external versions and does not keep them: use a domain or a search collection")


def _fixed(settings: Mapping[str, Any], format: int) -> str:
    """What names the settings that cannot change. With the format in it, code of format 1 refuses the index."""
    fixed = {key: settings[key] for key in _FIXED if key in settings}
    return _hash(fixed if format == 1 else [format, fixed])


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
