"""All that views and indexes hold: rows, groups with the items that make them up, and documents."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from opensearchpy.exceptions import OpenSearchException

from cli.console.downstream import Downstream
from cli.console.kept import derive, index
from distributary.derive.declarations import Aggregate, Ranked
from distributary.derive.delta import RecordedContribution
from distributary.derive.validation import units
from distributary.derive.verify.key_owner import item_of_entry, view_of
from distributary.derive.view import View
from distributary.dynamodb import table_reader
from distributary.errors import Unavailable

ROWS = 100
"""Of one page."""

LOOKED = 5000
"""Rows of a table that are read for one page, at most."""


def declared(attached: Downstream) -> dict[str, Any]:
    """What there is to look at: views with their write units by kind of change, and indexes with their fields."""
    views = attached.declared("derive") if "derive" in attached.functions else ()
    sources = attached.declared("index") if "index" in attached.functions else ()
    return {"views": [_view(view) for view in views], "indexes": [_index(source.declared) for source in sources]}


def _view(view: View) -> dict[str, Any]:
    insert, update, delete = units(view)
    return {
        "name": view.name,
        "kind": type(view.declared).__name__,
        "entity": view.declared.of.name,
        "pk": view.pk.text,
        "sk": view.sk.text,
        "groups": isinstance(view.declared, Aggregate | Ranked),
        "units": {"insert": insert, "update": update, "delete": delete},
    }


def _index(given: Any) -> dict[str, Any]:
    return {"name": given.name, "entity": given.of.name, "fields": sorted(given.declared())}


def rows(attached: Downstream, asked: Mapping[str, Any]) -> dict[str, Any]:
    """A page of a view's rows, and the cursor of the next one, empty behind the last. Raises LookupError, ValueError
    and Unavailable."""
    _, branch = derive(attached)
    view = _named(branch.views, asked)
    begin = json.loads(asked["cursor"]) if asked.get("cursor") else None
    tables, found, looked, after = branch.ledger.tables, list[Any](), 0, None
    for page, cursor in table_reader.cursors(tables.client, tables.derived, 0, 1, begin, limit=ROWS):
        looked, after = looked + len(page), cursor
        found += [row for row in page if view_of(branch.views, (row["pk"]["S"], row["sk"]["S"])) is view]
        if len(found) >= ROWS or looked >= LOOKED:
            break
    return {"rows": found, "cursor": json.dumps(after) if after else ""}


def group(attached: Downstream, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The items that the ledger counts in one group, each with what it adds. `more`: not all of the ledger was read.
    Raises as `rows`."""
    _, branch = derive(attached)
    view, key = _named(branch.views, asked), (str(asked.get("pk")), str(asked.get("sk")))
    tables, found, looked = branch.ledger.tables, list[Any](), 0
    for page in table_reader.pages(tables.client, tables.ledger, 0, 1):
        looked += len(page)
        found += list(_members(view, key, page))
        if looked >= LOOKED:
            break
    return {"items": found, "more": looked >= LOOKED}


def _members(view: View, key: tuple[str, str], page: list[Any]) -> Iterator[dict[str, Any]]:
    for row in page:
        owner = item_of_entry([view], None, row["id"]["S"])
        shares = RecordedContribution.read(row).shares if owner is not None else {}
        if owner is not None and key in shares:
            table = row["id"]["S"].partition("|")[2].partition("/")[0]
            amounts = {name: str(amount) for name, amount in shares[key][0].items()}
            yield {"table": table, "key": owner[1], "adds": amounts}


def search(attached: Downstream, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Documents of an index that a query finds (https://docs.opensearch.org/latest/query-dsl/full-text/query-string/);
    the first ones without a query. Raises LookupError and Unavailable."""
    client, branches = index(attached)
    names = [source.declared.name for source in branches[0].sources]
    name = str(asked.get("index", ""))
    if name not in names:
        raise LookupError(f"there is no index '{name}': there are {', '.join(names)}")
    query = {"q": str(asked["q"])} if asked.get("q") else {}
    try:
        found = client.search(index=name, params={**query, "size": ROWS, "version": "true"})
    except OpenSearchException as error:
        raise Unavailable(f"the search failed: {getattr(error, 'error', '') or error}") from None
    hits = found["hits"]
    shown = [{"id": hit["_id"], "version": hit.get("_version"), "document": hit["_source"]} for hit in hits["hits"]]
    return {"documents": shown, "total": hits["total"]["value"]}


def _named(views: Any, asked: Mapping[str, Any]) -> View:
    name = str(asked.get("view", ""))
    found: View | None = next((view for view in views if view.name == name), None)
    if found is None:
        raise LookupError(f"there is no view '{name}': there are {', '.join(view.name for view in views)}")
    return found
