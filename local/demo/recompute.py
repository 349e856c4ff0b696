"""The expected rows of declared views, recomputed from the items with plain arithmetic, without the ledger."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, localcontext
from typing import Any

from distributary.derive import Aggregate, Earliest, Latest, Top
from distributary.derive.contribution import shard_of
from distributary.derive.declarations import Ranked
from distributary.derive.scope import Scope
from distributary.derive.view import View
from distributary.stream.change import Change
from distributary.stream.codec import decode_item
from distributary.stream.computed import Source
from distributary.stream.keys import identity

Rows = dict[tuple[str, str], dict[str, Any]]


def rows(view: View, changes: Sequence[Change]) -> Rows:
    """A ledger view's rows by key, decoded and without their keys. Raises Rejected for an item that the view
    rejects."""
    items = [change for change in changes if change.new is not None and view.holds(change.new)]
    match view.declared:
        case Aggregate() as declared:
            groups = _grouped(view, items, lambda key, name: shard_of(declared, key, name))
            return {key: _figures(declared, [item for _, item in group]) for key, group in groups.items()}
        case Latest() | Earliest() | Top():
            groups = _grouped(view, items, lambda key, _: key)
            shown = {key: _first(view.declared, group) for key, group in groups.items()}
            return {key: _entries(view, scopes) for key, scopes in shown.items() if scopes}
    made = [row for each in items if each.new for row in view.rows(each.new).items()]
    return {key: decode_item(view.content(scope)) for key, scope in made}


def _grouped(
    view: View, items: Sequence[Change], place: Callable[[tuple[str, str], str], tuple[str, str]]
) -> Mapping[tuple[str, str], list[tuple[str, Scope]]]:
    groups: dict[tuple[str, str], list[tuple[str, Scope]]] = defaultdict(list)
    for change in items:
        name = identity(change.keys.raw)
        for key, scope in view.parts(change.new) if change.new is not None else ():
            groups[place(key, name)].append((name, scope))
    return groups


def _first(declared: Ranked, group: Sequence[tuple[str, Scope]]) -> list[Scope]:
    """In the order of the view, as many as its row shows."""
    if not isinstance(by := declared.by, str):
        raise TypeError("the demo recomputes views that are ordered by an attribute")
    least = isinstance(declared, Earliest) or (isinstance(declared, Top) and declared.least)
    ranked = [each for each in group if each[1].get(by) is not None]
    ranked.sort(key=lambda each: (each[1][by], each[0]), reverse=not least)
    return [scope for _, scope in ranked[: declared.n if isinstance(declared, Top) else 1]]


def _entries(view: View, scopes: Sequence[Scope]) -> dict[str, Any]:
    entries = [decode_item(view.content(scope)) for scope in scopes]
    if not isinstance(view.declared, Top):
        return entries[0]
    return {} if view.declared.rows else {view.declared.into: entries}


def _figures(declared: Aggregate, items: Sequence[Scope]) -> dict[str, Any]:
    figures: dict[str, Any] = {declared.count: Decimal(len(items))} if declared.count else {}
    figures |= {name: Decimal(sum(map(bool, map(takes, items)))) for name, takes in declared.count_where.items()}
    for output, source in declared.sum.items():
        figures[output] = _sum(_values(source, items))
    for output, (source, takes) in declared.sum_where.items():
        figures[output] = _sum(_values(source, [item for item in items if takes(item)]))
    for output, source in declared.average.items():
        if found := _values(source, items):
            with localcontext(prec=38):
                figures[output] = _sum(found) / len(found)
    for chosen, by_output in ((min, declared.min), (max, declared.max)):
        for output, each in by_output.items():
            if found := _values(each, items):
                figures[output] = chosen(found)
    return figures | {output: Decimal(len(set(_values(each, items)))) for output, each in declared.distinct.items()}


def _values(source: Source, items: Sequence[Scope]) -> list[Any]:
    found = [source(item) if callable(source) else item.get(source) for item in items]
    return [value for value in found if value is not None]


def _sum(numbers: Sequence[Any]) -> Decimal:
    with localcontext(prec=200):
        return sum(map(Decimal, numbers), Decimal())
