"""The OpenSearch index behind a declaration: made once, found again, never guessed."""

import hashlib
import json
import time
from collections.abc import Mapping
from typing import Any

from distributary.errors import ConfigError
from distributary.index.declarations import Index
from distributary.index.document import DELETED_AT

VISIBLE = {"bool": {"must_not": [{"exists": {"field": DELETED_AT}}]}}
"""The read alias's filter: a deleted item's marker document is no search result."""

Template = Mapping[str, Any]
"""What stands beside the declaration as <index>.json: `settings` (shards, replicas, analysis) and `mappings`, the
latter for what is no declared field, such as what an ingest pipeline adds."""

_META = "distributary"
_FIXED = ("analysis", "number_of_shards", "knn", "sort", "codec", "mode")
"""Settings that an index keeps as it was made with. https://docs.opensearch.org/latest/install-and-configure/configuring-opensearch/index-settings/"""

_PROBE = "%probe"
"""No item's id: `keys.escape` never writes this."""


def definition(index: Index, template: Template | None = None) -> dict[str, Any]:
    """Settings and mappings; `dynamic: strict`, so that an undeclared field is an error instead of a guess.

    Raises ConfigError for a template that says what the declaration says, or what an index does not take.
    """
    given = dict(template or {})
    faults = [
        f"{index.name}.json: '{key}' is neither settings nor mappings" for key in {*given} - {"settings", "mappings"}
    ]
    mappings = dict(given.get("mappings", {}))
    declared = {**index.mappings(), DELETED_AT: {"type": "date", "format": "epoch_second"}}
    more = dict(mappings.pop("properties", {}))
    faults += [
        f"{index.name}.json: field '{name}' is declared in indexes.py; say it there" for name in {*more} & {*declared}
    ]
    if faults:
        raise ConfigError(sorted(faults))
    settings = dict(given.get("settings", {}))
    settings = {**{key: each for key, each in settings.items() if key != "index"}, **settings.get("index", {})}
    body = {"dynamic": "strict", **mappings, "properties": {**more, **declared}}
    fixed = {key: settings[key] for key in _FIXED if key in settings}
    meta = {**mappings.get("_meta", {}), _META: {"hash": _hash([body, settings]), "fixed": _hash(fixed)}}
    return {"settings": settings, "mappings": {**body, "_meta": meta}}


def apply(client: Any, index: Index, generation: int, template: Template | None = None) -> str:
    """Makes the index of this generation if it is missing and puts both aliases on it; a second time does nothing.

    The read alias stays where it is if it stands on another generation: moving readers is a decision of its own.
    Returns what was done. Raises ConfigError if the existing index contradicts the declaration, or if the engine does
    not keep versions, without which a late change would overwrite a newer one.
    """
    name, wanted = index.physical(generation), definition(index, template)
    if not client.indices.exists(index=name):
        client.indices.create(index=name, body=wanted)
        done = "made"
    else:
        done = _amend(client, name, wanted)
    _stand(client, index, generation)
    return f"index '{name}' {done}; write alias '{index.write_alias(generation)}'"


def _stand(client: Any, index: Index, generation: int) -> None:
    """Both aliases. The index's own stands on one index alone, with the filter that hides markers."""
    name, write = index.physical(generation), index.write_alias(generation)
    actions: list[dict[str, Any]] = []
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
    if meta.get("hash") == target["hash"]:
        return "found as declared"
    faults = _contradictions(standing.get("properties", {}), wanted["mappings"]["properties"], name)
    if meta and meta["fixed"] != target["fixed"]:
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
    return "found, and brought up to the declaration"


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

    marker = {DELETED_AT: int(time.time())}
    try:
        for version in (2, 1):
            client.index(
                index=name, id=_PROBE, body=marker, params={"version": version, "version_type": "external_gte"}
            )
    except ConflictError:
        client.delete(index=name, id=_PROBE)
        return
    except RequestError as error:
        raise ConfigError(
            f"'{name}' takes no external versions ({error.error}): use a domain or a search collection"
        ) from error
    raise ConfigError(f"'{name}' takes external versions and does not keep them: use a domain or a search collection")


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
