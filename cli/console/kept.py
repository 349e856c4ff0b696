"""What each branch keeps of one item, and what it should keep: read by the branches' own code."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from cli.console.downstream import Downstream
from distributary.consumer.deadline import FOREVER
from distributary.consumer.parallel import Parallel
from distributary.derive.branch import DeriveBranch
from distributary.derive.declarations import Join
from distributary.derive.delta import RecordedContribution
from distributary.derive.factory import build as build_derive
from distributary.derive.join_validation import entities
from distributary.derive.settings import DeriveSettings
from distributary.derive.verify.expected_rows import name_of
from distributary.derive.verify.item_verifier import Comparator, Finding, Subject
from distributary.dynamodb.requests import Item
from distributary.feed.snapshot import Table
from distributary.index.branch import IndexBranch
from distributary.index.factory import build as build_index
from distributary.index.opensearch.connect import clients as search_clients
from distributary.index.opensearch.target import is_marker
from distributary.index.reconcile import documents
from distributary.index.settings import IndexSettings
from distributary.replicate.factory import build as build_replicate
from distributary.replicate.mirror import MirrorBranch
from distributary.replicate.settings import ReplicateSettings
from distributary.replicate.verify.comparison import bare, of_mirror
from distributary.replicate.verify.table import Side
from distributary.stream import version as versions
from distributary.stream.change import Change
from distributary.stream.codec import Typed
from distributary.stream.keys import identity, table_arn

Keys = Mapping[str, Typed]
Holding = dict[str, Any]
"""`branch`, `name` of a declaration, `state` (right, differs, rejected), `problems`, and what is `held` and `due`:
lists of `place` and `content` (DynamoDB JSON, but for documents of an index, which are plain JSON)."""


def item_of(attached: Downstream, table: Table, keys: Keys) -> Item | None:
    """The item as it is now, read consistently."""
    answer = attached.dynamodb.get_item(TableName=table.name, Key=dict(keys), ConsistentRead=True)
    found: Item | None = answer.get("Item")
    return found


def kept(attached: Downstream, table: Table, keys: Keys) -> Iterator[Holding]:
    """Of each branch that keeps state. Raises ConfigError, Unavailable and DeclarationFaults."""
    item = item_of(attached, table, keys)
    if "derive" in attached.functions:
        yield from _rows(attached, table, keys, item)
    if "index" in attached.functions:
        yield from _documents(attached, table, keys, item)
    if "replicate" in attached.functions:
        yield from _replicas(attached, table, keys)


def derive(attached: Downstream) -> tuple[DeriveSettings, DeriveBranch]:
    """The branch as its function builds it. Raises ConfigError and DeclarationFaults."""
    settings = DeriveSettings.load(attached.environment("derive"))
    views = [view.declared for view in attached.declared("derive")]
    return settings, build_derive(views, settings, attached.clients, Parallel(1))


def index(attached: Downstream) -> tuple[Any, list[IndexBranch]]:
    """A client of the search engine, and the branch of each generation, as the function builds them. Raises as
    `derive`."""
    settings = IndexSettings.load(attached.environment("index"))
    clients = attached.clients_with(search_clients)
    built = build_index([each.declared for each in attached.declared("index")], settings, clients, Parallel(1))
    search = clients("opensearch", endpoint=settings.endpoint, authentication=settings.service, secret=settings.secret)
    return search, [built] if isinstance(built, IndexBranch) else [built.current, built.next]


def _holding(branch: str, name: str, problems: Sequence[str], held: Any, due: Any, rejected: str = "") -> Holding:
    state = "rejected" if rejected else "differs" if problems else "right"
    return {
        "branch": branch,
        "name": name,
        "state": state,
        "problems": [*problems, *([rejected] if rejected else [])],
        "held": [{"place": place, "content": content} for place, content in held],
        "due": [{"place": place, "content": content} for place, content in due],
    }


def _rows(attached: Downstream, table: Table, keys: Keys, item: Item | None) -> Iterator[Holding]:
    settings, branch = derive(attached)
    reading = tuple(
        view for view in branch.views if any(each.reads(table_arn(table.name)) for each in entities(view.declared))
    )
    version = versions.of(settings.generation, versions.SNAPSHOT_POSITION)
    comparator = Comparator(table.name, reading, branch.ledger.tables, version)
    known = {identity(keys): item} if item is not None else {}
    compared = comparator.compare([Subject(keys)], known)
    for finding in compared.findings:
        yield _of_view(branch.ledger.tables, finding)
    for (view, _), reason in compared.rejected.items():
        yield _holding("derive", f"view '{view}'", [], [], [], reason)


def _of_view(tables: Any, finding: Finding) -> Holding:
    """A group's row is of many items: it is shown, with what this item adds to it, and not compared."""
    want, name = finding.want, f"view '{finding.want.view.name}'"
    held = [(name_of(key), row) for key, row in finding.derived.items() if row]
    due = [(name_of(key), row) for key, row in want.rows.items()]
    if want.entry is not None and not isinstance(want.view.declared, Join):
        recorded = RecordedContribution.read(finding.ledger).shares
        groups = list({*recorded, *want.entry.contribution.shares})
        rows = tables.derived_rows(groups, FOREVER) if groups else {}
        held += [(f"group {name_of(group)}", rows[group]) for group in groups if rows[group]]
        held += [(f"its part of {name_of(group)}", _amounts(amounts)) for group, (amounts, _) in recorded.items()]
        due += [
            (f"its part of {name_of(group)}", _amounts(share.amounts))
            for group, share in want.entry.contribution.shares.items()
        ]
    return _holding("derive", name, [f"{each.kind}: {each.where}" for each in finding.problems], held, due)


def _amounts(amounts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: {"N": str(amount)} for name, amount in amounts.items()}


def _documents(attached: Downstream, table: Table, keys: Keys, item: Item | None) -> Iterator[Holding]:
    search, branches = index(attached)
    for branch in branches:
        yield from _of_index(branch, search, table, keys, item)


def _of_index(branch: IndexBranch, search: Any, table: Table, keys: Keys, item: Item | None) -> Iterator[Holding]:
    version = versions.of(branch.generation, versions.SNAPSHOT_POSITION)
    change = Change.snapshot(keys, item, version, source=table_arn(table.name))
    actions, rejections = branch.plan(change)
    found = documents(branch, search, [keys])
    names = {each.declared.write_alias(branch.generation): each.declared.name for each in branch.sources}
    for place in sorted({*actions, *found}):
        alias, id = place
        planned = orjson.loads(actions[place].lines.splitlines()[1]) if place in actions else {}
        due = {} if not planned or is_marker(planned) else planned
        seen = found.get(place)
        held = {} if seen is None or is_marker(seen.body) else dict(seen.body)
        problems = [] if held == due else ["missing" if not held else "dead" if not due else "different"]
        shown, wanted = ([(id, held)] if held else []), ([(id, due)] if due else [])
        yield _holding("index", f"index '{names.get(alias, alias)}' ({alias})", problems, shown, wanted)
    for rejected in rejections:
        yield _holding("index", "index", [], [], [], str(rejected))


def _replicas(attached: Downstream, table: Table, keys: Keys) -> Iterator[Holding]:
    settings = ReplicateSettings.load(attached.environment("replicate"))
    branch = build_replicate(attached.declared("replicate"), settings, attached.clients, Parallel(1), lambda: None)
    if not isinstance(branch, MirrorBranch):
        for region in (settings.source_region, *settings.replica_regions):
            side = Side(attached.clients("dynamodb", region), settings.replica_table)
            rows = side.rows([keys], consistent=True)
            yield _holding("replicate", f"region {region}", [], [(json.dumps(keys), row) for row in rows.values()], [])
        return
    register = branch.register
    sides = Side(attached.dynamodb, table.name), Side(register.client, register.table, name="replica")
    compared = of_mirror(branch, *sides, settings.generation).compare([dict(keys)])
    for finding in compared.findings:
        place, row, due = json.dumps(dict(keys), ensure_ascii=False), finding.row, finding.write.row
        attribute = register.version_attribute
        held = [(place, row)] if row is not None else []
        wanted = [(place, bare(due, attribute))] if due is not None else []
        problems = [finding.kind] if finding.kind else []
        yield _holding("replicate", f"table {register.table}", problems, held, wanted)
    for _, reason in compared.rejected.values():
        yield _holding("replicate", "mirror", [], [], [], reason)
