"""What an item contributes to a view on the ledger: pure decisions."""

import zlib
from collections.abc import Callable, Mapping
from decimal import Context, Decimal
from typing import Any

from distributary.derive.declarations import Aggregate, Earliest, Join, Latest, Projection, Ranked, Top
from distributary.derive.delta import (
    ITEMS,
    Contribution,
    Edge,
    Entry,
    Key,
    MemberName,
    Row,
    Shape,
    Share,
    add,
    size_of,
    typed_key,
)
from distributary.derive.scope import Scope, read
from distributary.derive.view import View
from distributary.errors import Rejected
from distributary.stream.change import Change, Image
from distributary.stream.codec import Typed, encode, number_text
from distributary.stream.computed import Source
from distributary.stream.entity import Predicate
from distributary.stream.keys import PARTITION_KEY_BYTES, bounded, identity, item_identity, table_of
from distributary.stream.sort_key import sortable

_NONE = Share({})
ENTRY_ID_BYTES = 1024
_MEMBER_BYTES = 1024
_RANK_BYTES, _TIE_BYTES = 600, 400
RANK = "rank"
"""The set of the members that a view orders."""

_ROW_BYTES = 400_000
"""https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html
400 KB an item, of which some is kept back for the group's key and figures."""

_QUOTIENT = Context(prec=38, Emin=-999, Emax=999)
_SMALLEST = -130


def entry_of(view: View, change: Change) -> Entry:
    """The item's contribution as the change leaves it. Raises Rejected for an item that the view cannot take."""
    shown = view.shown(change)
    held = shown if shown is not None and view.holds(shown) else None
    contribution = contribution_of(view, held, change) if held is not None else Contribution()
    name = f"{view.name}|{_item(change)}"
    return Entry(
        bounded(name, ENTRY_ID_BYTES),
        name,
        view.name,
        change.version,
        contribution,
        shape_of(view),
        if_present=held is None and view.found_nothing(change),
        spare=view.found_nothing(change),
        mark=view.mark(change),
    )


def entry_id(view: str, item: str) -> str:
    """The ledger's id for a view and an item (see `item_identity`)."""
    return bounded(f"{view}|{item}", ENTRY_ID_BYTES)


def _item(change: Change) -> str:
    return item_identity(table_of(change.source), change.keys.raw)


def contribution_of(view: View, item: Image, change: Change) -> Contribution:
    """What one of the change's images contributes, if the view holds it. Raises Rejected as `entry_of`."""
    declared = view.declared
    if isinstance(declared, Projection):
        rows = view.rows(item).items()
        return Contribution({key: {**typed_key(key), **view.content(scope)} for key, scope in rows})
    shares: dict[Key, Share] = {}
    for key, scope in view.parts(item):
        if isinstance(declared, Ranked):
            share = _ranked(view, declared, scope, _item(change), shares.get(key, _NONE))
        elif isinstance(declared, Join):
            raise TypeError(f"view '{view.name}' is a join: joins.py keeps it")
        else:
            key = shard_of(declared, key, identity(change.keys.raw)) if declared.shards > 1 else key
            view.until(key)  # A period that is no time is rejected here, before anything is written
            share = _share(declared, scope)
        if share is not None:
            shares[key] = _together(shares[key], share) if key in shares else share
    return Contribution(shares=shares)


def _together(one: Share, other: Share) -> Share:
    """Of two members of an item in one group. A value that both have is the item's once."""
    amounts = {name: add(one.amounts.get(name, Decimal()), amount) for name, amount in other.amounts.items()}
    return Share({**one.amounts, **amounts}, {**one.members, **other.members})


def _ranked(view: View, declared: Ranked, scope: Scope, name: str, others: Share) -> Share | None:
    """Of an item or its member; `others`: of the item's members before it, in the same group. Those of an equal value
    are numbered."""
    value = read("'by'", declared.by, scope)
    if value is None:
        return None
    place, content = rank(value, name), view.content(scope)
    equal = sum(1 for _, other in others.members if other.startswith(place))
    if isinstance(declared, Top) and not declared.rows:
        _check_size(declared, content)
    return Share({ITEMS: Decimal(1)}, {(RANK, f"{place}\0{equal:04}" if equal else place): {"M": content}})


def _check_size(declared: Top, content: Row) -> None:
    """A list that holds `n` entries of this size fits, whatever the others are: so no delete is ever refused because
    the entry that follows is too large."""
    most = _ROW_BYTES // declared.n - _MEMBER_BYTES - 8
    if (many := size_of(content)) > most:
        raise Rejected(
            f"an entry of '{declared.into}' would have about {many} bytes, and {declared.n} fit into a row with "
            f"{most} each: keep less, lower n, or set rows=True"
        )


def shard_of(declared: Aggregate, key: Key, item: str) -> Key:
    """The group's key, or that of its shard which the item chooses; no template can write `%s`."""
    pk, sk = shards_of(declared, key)[zlib.crc32(item.encode()) % declared.shards]
    if len(pk.encode()) > PARTITION_KEY_BYTES:
        raise Rejected(f"the shard's key would have {len(pk.encode())} bytes, and may have {PARTITION_KEY_BYTES}")
    return pk, sk


def shards_of(declared: Aggregate, key: Key) -> list[Key]:
    """The keys of all shards of a group: the group's own if there is one."""
    if declared.shards == 1:
        return [key]
    return [(f"{key[0]}%s{shard}", key[1]) for shard in range(declared.shards)]


def rank(value: Any, item: str) -> str:
    """The place of an item by a value; equal values are ordered by the item."""
    try:
        text = sortable(value, _RANK_BYTES)
    except Rejected as error:
        raise Rejected(f"by: {error}") from None
    return text.replace("\0", "\0\1") + "\0\0" + bounded(item, _TIE_BYTES)


def _share(declared: Aggregate, item: Scope) -> Share:
    amounts = {ITEMS: Decimal(1)}
    for output, source in summed(declared).items():
        number = _number(f"sum '{output}'", source, item)
        if number:
            amounts[f"sum:{output}"] = number
    for output, source in declared.average.items():
        number = _number(f"average '{output}'", source, item)
        if number is not None:
            amounts |= {f"total:{output}": number, f"of:{output}": Decimal(1)}
    members: dict[MemberName, Typed] = {}
    for output, counted in {**declared.distinct, **declared.min, **declared.max}.items():
        value = read(f"'{output}'", counted, item)
        if value is not None:
            members[set_name(output, counted), _place(output, value)] = encode(value, output)
    return Share(amounts, members)


def set_name(output: str, source: str | Callable[[Image], Any]) -> str:
    """One set of members per attribute, whatever is asked of it; one per function."""
    return source if isinstance(source, str) else f"{output}()"


def _place(output: str, value: Any) -> str:
    try:
        return sortable(value, _MEMBER_BYTES)
    except Rejected as error:
        raise Rejected(f"'{output}': {error}") from None


def summed(declared: Aggregate) -> Mapping[str, Source]:
    """What is added up, by the row's attribute: sums, and those that count or add only some items."""
    some = {output: _counted(predicate) for output, predicate in declared.count_where.items()}
    some |= {output: _where(source, predicate) for output, (source, predicate) in declared.sum_where.items()}
    return {**declared.sum, **some}


def _counted(predicate: Predicate) -> Source:
    return lambda item: 1 if predicate(item) else None


def _where(source: Source, predicate: Predicate) -> Source:
    return lambda item: (source(item) if callable(source) else item.get(source)) if predicate(item) else None


def _number(what: str, source: Source, item: Scope) -> Decimal | None:
    value = read(what, source, item)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        named = f"'{source}'" if isinstance(source, str) else "the function's answer"
        raise Rejected(f"{what}: {named} is {type(value).__name__}, and only numbers add up")
    return Decimal(number_text(value, what))


def shape_of(view: View) -> Shape:
    """How the view's group rows look."""
    match view.declared:
        case Aggregate() as declared:
            edges = [Edge(set_name(name, source), False, name) for name, source in declared.min.items()]
            edges += [Edge(set_name(name, source), True, name) for name, source in declared.max.items()]
            until = view.until if declared.expires_after is not None else None
            return Shape(lambda amounts, different: present(declared, amounts, different), tuple(edges), until)
        case Latest():
            return Shape(_nothing, (Edge(RANK, True, None),))
        case Earliest():
            return Shape(_nothing, (Edge(RANK, False, None),))
        case Top(rows=False) as top:
            return Shape(_nothing, (Edge(RANK, not top.least, top.into, top.n),))
    return Shape(_nothing)


def _nothing(amounts: Mapping[str, Decimal], different: Mapping[str, Decimal]) -> Row:  # noqa: ARG001
    return {}


def present(declared: Aggregate, amounts: Mapping[str, Decimal], different: Mapping[str, Decimal]) -> Row:
    """What a group's row shows of `figures`. Raises Rejected for a number beyond 38 digits."""
    shown = figures(declared, amounts, different)
    return {name: {"N": number_text(number, name)} for name, number in shown.items()}


def figures(
    declared: Aggregate, amounts: Mapping[str, Decimal], different: Mapping[str, Decimal]
) -> dict[str, Decimal]:
    """The numbers of a group: sums are exact, an average has 38 digits, and there is none if no item has its
    attribute."""
    zero = Decimal()
    shown = {declared.count: amounts.get(ITEMS, zero)} if declared.count else {}
    shown |= {output: amounts.get(f"sum:{output}", zero) for output in summed(declared)}
    shown |= {output: different.get(set_name(output, source), zero) for output, source in declared.distinct.items()}
    for output in declared.average:
        if many := amounts.get(f"of:{output}"):
            shown[output] = average(amounts.get(f"total:{output}", zero), many)
    return shown


def average(total: Decimal, many: Decimal) -> Decimal:
    """To 38 digits; what is too small for DynamoDB is 0."""
    quotient = _QUOTIENT.divide(total, many)
    return quotient if quotient.adjusted() >= _SMALLEST else Decimal()
