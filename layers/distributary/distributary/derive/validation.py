"""Declarations checked as a whole, every fault at once."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from itertools import combinations
from typing import Any, get_args

from distributary.derive.declarations import Aggregate, Declaration, Earliest, Join, Latest, OnExpiry, Projection, Top
from distributary.derive.delta import EXPIRY
from distributary.derive.format import STATE
from distributary.derive.groups import REVISION
from distributary.derive.join_rows import OWN
from distributary.derive.join_validation import circles, entities, join_faults, knows
from distributary.derive.join_view import JoinView, Reach
from distributary.derive.scope import EACH
from distributary.derive.transactions import ACTIONS
from distributary.derive.view import KEY_ATTRIBUTES, Primitive, View
from distributary.errors import ConfigError
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.computed import attributes_of
from distributary.stream.entity import other_tables, without_comma
from distributary.stream.keys import NAME, PARTITION_KEY_BYTES, SORT_KEY_BYTES, Template

MAX_ENTRIES = 100
"""Of a Top's list: what one transaction changes in it is read anew, behind as many entries."""

MAX_SHARDS = 100
"""What one BatchGetItem reads."""

_RESERVED = {*KEY_ATTRIBUTES, REPLICA_VERSION, STATE, REVISION, EXPIRY, *OWN}


def check(declarations: Sequence[Declaration]) -> tuple[View, ...]:
    """Checks declared views, as the function does when it starts.

    Returns:
        The views, ready for use, in their order.

    Raises:
        ConfigError: A declaration is wrong. It names every fault of every view.
    """
    faults = [] if declarations else ["no view is declared: add one to views.py"]
    views = []
    for declared in declarations:
        if strings := _strings(declared):
            faults += [f"view '{declared.name}': {fault}" for fault in strings]
            continue
        templates: list[Template] = []
        for text in (declared.pk, declared.sk):
            try:
                templates.append(Template.parse(text))
            except ConfigError as error:
                faults += [f"view '{declared.name}': {fault}" for fault in error.faults]
        faults += [f"view '{declared.name}': {fault}" for fault in _faults(declared, templates)]
        if len(templates) == 2:
            views.append(View(declared, templates[0], templates[1], _copied(declared)))
    faults += _collisions(views)
    faults += circles(declarations)
    if faults:
        raise ConfigError(faults)
    return tuple(views)


def check_tables(views: Sequence[View], tables: Sequence[str]) -> None:
    """Whether each view can be kept by a function that reads these tables; nothing is asked if none is known. Raises
    ConfigError that names every fault."""
    read = {
        f"view '{view.name}'" + f", entity {at + 1}" * bool(at): entity
        for view in views
        for at, entity in enumerate(entities(view.declared))
    }
    faults = other_tables(read, tables)
    rows = [view for view in views if len(tables) > 1 and isinstance(view.declared, Projection | Join)]
    for view, entity in ((each, entity) for each in rows for entity in entities(each.declared)):
        if entity.table is None:
            faults.append(
                f"view '{view.name}': entity '{entity.name}' names no table, and the function reads "
                f"{', '.join(tables)}: items of two tables could share a row; give the entity table='{tables[0]}'"
            )
    if faults:
        raise ConfigError(faults)


def _strings(declared: Declaration) -> list[str]:
    kept = {} if isinstance(declared, Aggregate) else {"keep": declared.keep}
    right = {}
    if isinstance(declared, Join):
        of = declared.right
        right = {"right.keys": of.keys, "right.attributes": of.attributes, "keep_right": declared.keep_right}
    return without_comma(keys=declared.of.keys, attributes=declared.of.attributes, **kept, **right)


def _copied(declared: Declaration) -> dict[str, str]:
    if isinstance(declared, Aggregate):
        return {}
    return {**{name: name for name in declared.keep}, **{new: old for old, new in declared.rename.items()}}


def _faults(declared: Declaration, templates: Sequence[Template]) -> Iterable[str]:
    entity = declared.of
    if not NAME.fullmatch(declared.name):
        yield f"a name is letters, digits, '_', '.', '-': {NAME.pattern}"
    if not 1 <= len(entity.keys) <= 2:
        yield f"entity '{entity.name}' needs the source table's one or two key attributes"
    if declared.on_expiry not in get_args(OnExpiry):
        yield f"on_expiry is '{declared.on_expiry}': give one of {', '.join(get_args(OnExpiry))}"
    yield from _template_faults(declared, templates)
    yield from _source_faults(declared, templates)
    written, own = outputs(declared), [] if isinstance(declared, Top) else sorted(_RESERVED)
    for name in sorted({name for name in written if written.count(name) > 1 or name in own}):
        also = f", or it is one of the row's own attributes {', '.join(own)}" if own else ""
        yield f"writes '{name}' twice{also}"
    if declared.each is not None:
        yield from _each_faults(declared, templates)
    if isinstance(declared, Aggregate):
        yield from _aggregate_faults(declared, templates)
    if isinstance(declared, Top):
        yield from _top_faults(declared)
    if isinstance(declared, Join):
        yield from join_faults(declared)


def _top_faults(declared: Top) -> Iterable[str]:
    if not 1 <= declared.n <= MAX_ENTRIES:
        yield f"n is {declared.n}: give 1 to {MAX_ENTRIES}"
    if not outputs(declared):
        yield "its entries would show nothing: give it keep, rename or compute"
    if not declared.into or declared.into in _RESERVED:
        yield f"into is '{declared.into}': give a name that is none of {', '.join(sorted(_RESERVED))}"


def _template_faults(declared: Declaration, templates: Sequence[Template]) -> Iterable[str]:
    entity = declared.of
    for template, limit in zip(templates, (PARTITION_KEY_BYTES, SORT_KEY_BYTES), strict=False):
        for name in template.attributes:
            if not _known(declared, name):
                place = f"key '{template.text}' uses '{name}'"
                yield f"{place}, which {_declares(entity.name)}"
        least = sum(len(part.encode()) if isinstance(part, str) else 1 for part in template.parts)
        if least > limit:
            yield f"key '{template.text[:40]}...' has at least {least} bytes, and may have {limit}"


def _source_faults(declared: Declaration, templates: Sequence[Template]) -> Iterable[str]:
    """Of what names attributes of the item, or computed ones."""
    entity = declared.of
    own = {*entity.keys, *entity.attributes}
    kept = [] if isinstance(declared, Aggregate) else [*declared.keep, *declared.rename]
    for name in kept:
        if name in declared.compute and name not in own:
            yield f"keeps '{name}', which is computed: the row has it already; leave it out of keep and rename"
        elif name not in own:
            yield f"names '{name}', which {_declares(entity.name)}"
    sources = _sources(declared)
    named = [name for source in sources for name in attributes_of(source)]
    read = [name for function in declared.compute.values() for name in attributes_of(function)]
    for name in dict.fromkeys([*named, *read]):
        if not (_known(declared, name) if name in named else name in own or _of_member(declared, name)):
            yield f"names '{name}', which {_declares(entity.name)}"
    used = {*named, *(name for template in templates for name in template.attributes)}
    for name in sorted(used & own & declared.compute.keys()):
        yield f"computes '{name}', and entity '{entity.name}' declares an attribute of that name; rename one"
    for name in declared.compute:
        if _of_member(declared, name) or not isinstance(name, str) or not name:
            yield f"computes '{name}', which is no name for a computed attribute; choose another"


def _known(declared: Declaration, name: str) -> bool:
    entity = declared.of
    own = {*entity.keys, *entity.attributes, *declared.compute}
    return name in own or _of_member(declared, name) or knows(declared, name)


def _of_member(declared: Declaration, name: str) -> bool:
    return declared.each is not None and (name == EACH or str(name).startswith(f"{EACH}."))


def _declares(entity: str) -> str:
    return f"entity '{entity}' does not declare; add it or correct the name"


def _each_faults(declared: Declaration, templates: Sequence[Template]) -> Iterable[str]:
    used = {name for template in templates for name in template.attributes}
    in_keys = any(_of_member(declared, name) or name in declared.compute for name in used)
    if len(templates) == 2 and isinstance(declared, Projection) and not in_keys:
        yield "has 'each', but no key uses '{each}': an item's rows would be one; put {each} into pk or sk"
    if EACH in (*declared.of.keys, *declared.of.attributes):
        yield f"has 'each', and entity '{declared.of.name}' declares an attribute of that name: '{{each}}' is both"


def _aggregate_faults(declared: Aggregate, templates: Sequence[Template]) -> Iterable[str]:
    if not outputs(declared):
        yield "computes nothing: give it count, sum, average, min, max, distinct, count_where or sum_where"
    for output, each in declared.sum_where.items():
        if not (isinstance(each, tuple) and len(each) == 2 and callable(each[1])):
            yield f"sum_where '{output}' is {each!r}: give a source and a predicate, ('total', is_paid)"
    yield from _expiry_faults(declared, templates)
    if not 1 <= declared.shards <= MAX_SHARDS:
        yield f"has {declared.shards} shards: give 1 to {MAX_SHARDS}"
    if declared.shards > 1 and declared.distinct:
        yield "has 'distinct' and shards: one value counted in two shards is no sum of both; leave out one of them"
    sets = len({*map(str, [*declared.min.values(), *declared.max.values(), *declared.distinct.values()])})
    if (actions := 1 + 2 * (1 + sets)) > ACTIONS:
        yield f"an item that moves would take {actions} actions, and a transaction holds {ACTIONS}"


def _expiry_faults(declared: Aggregate, templates: Sequence[Template]) -> Iterable[str]:
    if (declared.expires_after is None) != (declared.period is None):
        yield "expires_after and period go together: how long a group's rows stay, and the attribute with its time"
        return
    if declared.expires_after is None:
        return
    if declared.expires_after < timedelta(days=1):
        yield f"expires_after is {declared.expires_after}: give at least a day, as long as the stream holds a change"
    if declared.period not in {name for template in templates for name in template.attributes}:
        yield f"period is '{declared.period}', which neither pk nor sk names: a group's expiry follows from its key"


def _sources(declared: Declaration) -> list[Any]:
    """What gives a declaration its values, besides the templates and what is copied: names and functions."""
    match declared:
        case Aggregate():
            by_output = (declared.sum, declared.average, declared.min, declared.max, declared.distinct)
            conditional = [pair[0] for pair in declared.sum_where.values() if isinstance(pair, tuple) and pair]
            return [declared.each, *(source for each in by_output for source in each.values()), *conditional]
        case Latest() | Earliest() | Top():
            return [declared.each, declared.by]
        case Projection():
            return [declared.each, declared.expires_at]
        case Join():
            return []


def outputs(declared: Declaration) -> list[str]:
    """The attributes of a view's rows, or of a Top's entries, beside the keys and the expiry."""
    if not isinstance(declared, Aggregate):
        own = [*declared.keep, *declared.rename.values(), *declared.compute]
        if isinstance(declared, Join):
            own += [*declared.keep_right, *declared.rename_right.values(), *declared.compute_right]
        return own
    by_output: list[Mapping[str, Any]] = [
        declared.sum,
        declared.average,
        declared.min,
        declared.max,
        declared.distinct,
        declared.count_where,
        declared.sum_where,
    ]
    return [*([declared.count] if declared.count else []), *(name for each in by_output for name in each)]


def _collisions(views: Sequence[View]) -> Iterable[str]:
    for one, other in combinations(views, 2):
        if one.name == other.name:
            yield f"two views are called '{one.name}'; their tombstones would mix: rename one"
        elif one.pk.may_equal(other.pk) and one.sk.may_equal(other.sk):
            yield (
                f"views '{one.name}' and '{other.name}' could write the same row: a value may hold every character but "
                f"the separators that its own key uses, so '{one.pk.text}' can equal '{other.pk.text}', and "
                f"'{one.sk.text}' can equal '{other.sk.text}'; begin pk or sk of each view with a word of its own and "
                f"a separator, such as '{one.name.upper()}#' and '{other.name.upper()}#'"
            )
    for view in views:
        missing = set(view.declared.of.keys) - {*view.pk.attributes, *view.sk.attributes}
        if missing and isinstance(view.declared, Projection | Join):
            named = ", ".join(sorted(missing))
            yield f"view '{view.name}': two items could share a row; put key attribute {named} into pk or sk"


def table(views: Sequence[View]) -> str:
    """Which primitive each view uses, and the write units of one item's insert, update and delete alone, rows
    of at most 1 KB each; a group's are shared by up to 99 items of one transaction."""
    lines = [("view", "primitive", "insert", "update", "delete")]
    lines += [(view.name, view.primitive, *units(view)) for view in views]
    widths = [max(len(line[at]) for line in lines) for at in range(5)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def units(view: View) -> tuple[str, str, str]:
    """Write units of an insert, an update and a delete, as `table` shows them."""
    match view.declared:
        case Projection() if view.primitive is Primitive.REGISTER:
            return "1", "1", "2"
        case Projection(each=None):
            return "4", "4, moved 6", "4"
        case Projection():
            return "2 + 2 a row", "2 + 2 a row that differs", "2 + 2 a row"
        case Latest() | Earliest() | Top():
            return "6", "6 to 8, moved 10", "6"
        case Join():
            return _join_units(JoinView.of(view))
        case Aggregate() as declared:
            sets = len({*map(str, [*declared.min.values(), *declared.max.values(), *declared.distinct.values()])})
            return f"{4 + 2 * sets}", f"{_range(4, 4 + 4 * sets)}, moved {6 + 4 * sets}", f"{4 + 2 * sets}"


def _join_units(join: JoinView) -> tuple[str, str, str]:
    """Of a left item; a right item's change is 1 and 1 (or 4 to 6) a row."""
    if join.holds_subscribers:
        return "4", "4, moved 6", "4"
    return "6", "6, moved 8 to 10" if join.reach is Reach.BOTH else "4, moved 8 to 10", "6"


def _range(least: int, most: int) -> str:
    return f"{least} to {most}" if most > least else f"{least}"
