"""What can be wrong with a Join, beside what can be wrong with every view."""

from collections.abc import Iterable, Sequence
from typing import get_args

from distributary.derive.declarations import Declaration, Join, JoinKind
from distributary.derive.join_view import on_templates
from distributary.errors import ConfigError
from distributary.stream.computed import attributes_of
from distributary.stream.entity import Entity
from distributary.stream.keys import Template


def join_faults(declared: Join) -> Iterable[str]:
    """Of one Join."""
    right = declared.right
    if declared.kind not in get_args(JoinKind):
        yield f"kind is '{declared.kind}': give one of {', '.join(get_args(JoinKind))}"
    if right == declared.of or (right.name == declared.of.name and right.table == declared.of.table):
        yield (
            f"joins entity '{right.name}' onto itself: a change of one item would move rows that move others; keep a "
            "view of these items, and join with its rows in a second stack"
        )
    elif right.name == declared.of.name:
        yield f"both entities are called '{right.name}', and keys call the right item so: rename one"
    if not 1 <= len(right.keys) <= 2:
        yield f"entity '{right.name}' needs its table's one or two key attributes"
    if right.name in (*declared.of.keys, *declared.of.attributes, *declared.compute):
        yield f"keys call the right item '{right.name}', and the left item has an attribute of that name: rename one"
    yield from _on_faults(declared)
    yield from _right_faults(declared)


def _on_faults(declared: Join) -> Iterable[str]:
    keys, given = declared.right.keys, declared.on
    if isinstance(given, str) and len(keys) > 1:
        names = " and ".join(keys)
        yield f"'on' is one template, and the right table has the keys {names}: give one for each, {{'{keys[0]}': ...}}"
        return
    by_name = on_templates(declared)
    if set(by_name) != set(keys):
        yield f"'on' makes {', '.join(sorted(by_name)) or 'nothing'}, and the right table's keys are {', '.join(keys)}"
    if not any("{" in text for text in by_name.values()):
        yield "'on' reads nothing of the left item: name an attribute, such as {customer_id}"
    known = {*declared.of.keys, *declared.of.attributes, *declared.compute}
    for name, text in by_name.items():
        try:
            template = Template.parse(text)
        except ConfigError as error:
            yield from (f"on '{name}': {fault}" for fault in error.faults)
            continue
        for each, type in template.types.items():
            if each not in known:
                yield (
                    f"'on' names '{each}', which entity '{declared.of.name}' does not declare; add it or correct the "
                    "name"
                )
            if type == "sortable" or (type == "B" and not template.alone):
                yield f"'on' writes {{{each}:{type}}} into key '{name}': no other program writes a key so; correct it"


def _right_faults(declared: Join) -> Iterable[str]:
    right = declared.right
    own = {*right.keys, *right.attributes}
    kept = [*declared.keep_right, *declared.rename_right]
    computed = [name for each in declared.compute_right.values() for name in attributes_of(each)]
    for name in dict.fromkeys([*kept, *computed]):
        if name not in own:
            yield f"names '{name}' of the right item, which entity '{right.name}' does not declare; add it there"
    for name in declared.compute_right:
        if name in own or name in declared.compute:
            yield f"computes '{name}' of the right item, which another attribute is called as well: rename one"


def knows(declared: Declaration, name: str) -> bool:
    """Whether a name is that of an attribute of a Join's right item, as keys call it."""
    if not isinstance(declared, Join) or not name.startswith(f"{declared.right.name}."):
        return False
    return name.removeprefix(f"{declared.right.name}.") in {*declared.right.keys, *declared.right.attributes}


def entities(declared: Declaration) -> tuple[Entity, ...]:
    """Those whose items a view reads."""
    return (declared.of, declared.right) if isinstance(declared, Join) else (declared.of,)


def circles(declarations: Sequence[Declaration]) -> Iterable[str]:
    """Joins whose right items are rows that depend on each other. A row's entity is one that `rows_of` made."""
    reads = {
        declared.name: {view for entity in entities(declared) for view in entity.rows_of} for declared in declarations
    }
    for declared in declarations:
        if not isinstance(declared, Join):
            continue
        reached, pending = set[str](), list(reads[declared.name])
        while pending:
            name = pending.pop()
            if name not in reached:
                reached.add(name)
                pending += reads.get(name, ())
        if declared.name in reached:
            yield (
                f"view '{declared.name}' joins rows that depend on its own rows: a change would go round without end; "
                "join with the items that these rows are made of"
            )
