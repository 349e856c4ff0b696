"""Declarations checked as a whole, every fault at once."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from typing import Any, get_args

from distributary.derive.declarations import Aggregate, Declaration, Latest, OnExpiry, Projection
from distributary.derive.format import STATE
from distributary.derive.groups import REVISION
from distributary.derive.transactions import ACTIONS
from distributary.derive.view import EACH, EXPIRY, KEY_ATTRIBUTES, Primitive, View
from distributary.errors import ConfigError
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.entity import without_comma
from distributary.stream.keys import NAME, PARTITION_KEY_BYTES, SORT_KEY_BYTES, Template

MAX_SHARDS = 100
"""What one BatchGetItem reads."""

_RESERVED = {*KEY_ATTRIBUTES, REPLICA_VERSION, STATE, REVISION, EXPIRY}


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
    if faults:
        raise ConfigError(faults)
    return tuple(views)


def _strings(declared: Declaration) -> list[str]:
    kept = {} if isinstance(declared, Aggregate) else {"keep": declared.keep}
    return without_comma(keys=declared.of.keys, attributes=declared.of.attributes, **kept)


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
    for name in _named(declared):
        if name not in (*entity.keys, *entity.attributes):
            yield f"names '{name}', which entity '{entity.name}' does not declare; add it or correct the name"
    outputs = _outputs(declared)
    for name in sorted({name for name in outputs if outputs.count(name) > 1 or name in _RESERVED}):
        yield f"writes '{name}' twice, or it is one of the row's own attributes {', '.join(sorted(_RESERVED))}"
    match declared:
        case Projection(each=each) if each is not None:
            yield from _each_faults(declared, templates)
        case Aggregate():
            yield from _aggregate_faults(declared)


def _template_faults(declared: Declaration, templates: Sequence[Template]) -> Iterable[str]:
    entity = declared.of
    members = {EACH} if isinstance(declared, Projection) and declared.each is not None else set()
    for template, limit in zip(templates, (PARTITION_KEY_BYTES, SORT_KEY_BYTES), strict=False):
        for name in template.attributes:
            if name not in {*entity.keys, *entity.attributes, *members}:
                place = f"key '{template.text}' uses '{name}'"
                yield f"{place}, which entity '{entity.name}' does not declare; add it or correct the name"
        least = sum(len(part.encode()) if isinstance(part, str) else 1 for part in template.parts)
        if least > limit:
            yield f"key '{template.text[:40]}...' has at least {least} bytes, and may have {limit}"


def _each_faults(declared: Projection, templates: Sequence[Template]) -> Iterable[str]:
    if len(templates) == 2 and not any(EACH in template.attributes for template in templates):
        yield "has 'each', but no key uses '{each}': an item's rows would be one; put {each} into pk or sk"
    if EACH in (*declared.of.keys, *declared.of.attributes):
        yield f"has 'each', and entity '{declared.of.name}' declares an attribute of that name: '{{each}}' is both"


def _aggregate_faults(declared: Aggregate) -> Iterable[str]:
    if not _outputs(declared):
        yield "computes nothing: give it count, sum, average, min, max or distinct"
    if not 1 <= declared.shards <= MAX_SHARDS:
        yield f"has {declared.shards} shards: give 1 to {MAX_SHARDS}"
    if declared.shards > 1 and declared.distinct:
        yield "has 'distinct' and shards: one value counted in two shards is no sum of both; leave out one of them"
    sets = len({*map(str, [*declared.min.values(), *declared.max.values(), *declared.distinct.values()])})
    if (actions := 1 + 2 * (1 + sets)) > ACTIONS:
        yield f"an item that moves would take {actions} actions, and a transaction holds {ACTIONS}"


def _named(declared: Declaration) -> list[str]:
    """The attributes of items that a declaration reads, besides its keys."""
    match declared:
        case Aggregate():
            each = (declared.sum, declared.average, declared.min, declared.max, declared.distinct)
            sources: list[Any] = [source for by_output in each for source in by_output.values()]
        case Latest():
            sources = [*declared.keep, *declared.rename, declared.by]
        case Projection():
            sources = [*declared.keep, *declared.rename, declared.expires_at, declared.each]
    return [source for source in sources if isinstance(source, str)]


def _outputs(declared: Declaration) -> list[str]:
    if not isinstance(declared, Aggregate):
        return [*declared.keep, *declared.rename.values(), *declared.compute]
    by_output: list[Mapping[str, Any]] = [
        declared.sum,
        declared.average,
        declared.min,
        declared.max,
        declared.distinct,
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
        if missing and isinstance(view.declared, Projection):
            named = ", ".join(sorted(missing))
            yield f"view '{view.name}': two items could share a row; put key attribute {named} into pk or sk"


def table(views: Sequence[View]) -> str:
    """Which primitive each view uses, and the write units of one item's insert, update and delete alone, rows
    of at most 1 KB each; a group's are shared by up to 99 items of one transaction."""
    lines = [("view", "primitive", "insert", "update", "delete")]
    lines += [(view.name, view.primitive, *_units(view)) for view in views]
    widths = [max(len(line[at]) for line in lines) for at in range(5)]
    return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def _units(view: View) -> tuple[str, str, str]:
    match view.declared:
        case Projection() if view.primitive is Primitive.REGISTER:
            return "1", "1", "2"
        case Projection(each=None):
            return "4", "4, moved 6", "4"
        case Projection():
            return "2 + 2 a row", "2 + 2 a row that differs", "2 + 2 a row"
        case Latest():
            return "6", "6, moved 10", "6"
        case Aggregate() as declared:
            sets = len({*map(str, [*declared.min.values(), *declared.max.values(), *declared.distinct.values()])})
            return f"{4 + 2 * sets}", f"2 to {4 + 4 * sets}, moved {6 + 4 * sets}", f"{4 + 2 * sets}"
