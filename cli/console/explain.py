"""Which declarations a change concerns, and why: asked of the declarations themselves."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from distributary.derive.branch import row_of
from distributary.derive.contribution import entry_of
from distributary.derive.declarations import Join
from distributary.derive.join_validation import entities
from distributary.derive.view import Primitive, View
from distributary.errors import Rejected
from distributary.index.document import Source
from distributary.replicate.declarations import Mirror, Replica
from distributary.stream.change import Change, Image
from distributary.stream.entity import Entity
from distributary.welcome.rules import Rule, compose

T = TypeVar("T")
_NO_KEYS: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reason:
    """What one declaration makes of a change. `why`: sentences; `before` and `after`: what it keeps of each image, by
    key; `fault`: why it cannot take the change, empty if it can."""

    branch: str
    declaration: str
    entity: str
    concerned: bool
    why: tuple[str, ...]
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    fault: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "branch": self.branch,
            "declaration": self.declaration,
            "entity": self.entity,
            "concerned": self.concerned,
            "why": list(self.why),
            "before": list(self.before),
            "after": list(self.after),
            "fault": self.fault,
        }


def reasons(branch: str, declared: Any, change: Change) -> Iterator[Reason]:
    """Of each declaration of a branch, checked as its function checks it."""
    match branch:
        case "derive":
            yield from (_of_view(view, change) for view in declared)
        case "index":
            yield from (_of_index(source, change) for source in declared)
        case "welcome":
            yield from (_of_rule(rule, change) for rule in declared)
        case "replicate":
            yield _of_replica(declared, change)
        case "archive":
            yield Reason("archive", "archive", "", True, ("The archive takes every change.",))


def entity_names(branch: str, declared: Any, change: Change) -> Iterator[str]:
    """The entities of the branch's declarations that claim the item, before or after the change."""
    for entity in _entities(branch, declared):
        if entity.reads(change.source) and any(_claims(entity, image) is True for image in _images(change)):
            yield entity.name


def _entities(branch: str, declared: Any) -> list[Entity]:
    match branch:
        case "derive":
            return [each for view in declared for each in entities(view.declared)]
        case "index":
            return [source.declared.of for source in declared]
        case "welcome":
            return [rule.of for rule in declared]
        case "replicate":
            own = getattr(declared, "of", None)
            return [own] if own is not None else []
    return []


def _images(change: Change) -> list[Image]:
    return [image for image in (change.old, change.new) if image is not None]


def _claims(entity: Entity, image: Image) -> bool | str:
    try:
        return entity.claims(image)
    except Rejected as error:
        return str(error)


def _of_entity(entity: Entity, change: Change) -> list[str]:
    """Sentences about the entity's table and its `where`."""
    if not entity.reads(change.source):
        return [f"Entity '{entity.name}' is of table '{entity.table}', and the change is of another."]
    if entity.where is None:
        return [f"Entity '{entity.name}' claims every item of the table."]
    said = []
    for when, image in (("before", change.old), ("after", change.new)):
        if image is not None:
            found = _claims(entity, image)
            end = f"fails: {found}" if isinstance(found, str) else "claims the item" if found else "leaves it out"
            said.append(f"Entity '{entity.name}': its where {end} {when} the change.")
    return said


def _tried(otherwise: T, step: Callable[..., T], *given: Any) -> tuple[T, str]:
    """What a step answers, or why it rejects what it is given."""
    try:
        return step(*given), ""
    except Rejected as error:
        return otherwise, str(error)


def _of_view(view: View, change: Change) -> Reason:
    why = [said for each in entities(view.declared) for said in _of_entity(each, change)]
    concerned, fault = _tried(True, view.concerned, change)
    name, entity = f"view '{view.name}'", view.declared.of.name
    if isinstance(view.declared, Join):
        why.append("A join also reads the other side: see what the branch holds for the key.")
        return Reason("derive", name, entity, True, tuple(why), fault=fault)
    reads = view.declared.of.reads(change.source)
    rows = []
    for when, image in (("before", change.old), ("after", change.new)):
        held, no = _tried(False, view.holds, image) if image is not None else (False, "")
        if image is not None and view.declared.where is not None and not no and reads:
            why.append(f"The view {'holds' if held else 'leaves out'} the item {when} the change.")
        keys, wrong = _tried(_NO_KEYS, _row_keys, view, image) if held else (_NO_KEYS, "")
        rows.append(keys)
        fault = fault or (no or wrong if when == "after" else "")
    fault = fault or (_fault_of_rows(view, change) if concerned else "")
    return Reason("derive", name, entity, concerned, tuple(why), rows[0], rows[1], fault)


def _row_keys(view: View, image: Image) -> tuple[str, ...]:
    return tuple(dict.fromkeys(f"{pk} / {sk}" for (pk, sk), _ in view.parts(image)))


def _fault_of_rows(view: View, change: Change) -> str:
    """What the branch itself parks the change for."""
    if view.primitive is Primitive.REGISTER:
        return _tried(None, row_of, view, change)[1]
    return _tried(None, entry_of, view, change)[1]


def _of_index(source: Source, change: Change) -> Reason:
    declared = source.declared
    concerned, fault = _tried(True, source.concerned, change)
    ids = []
    for image in (change.old, change.new):
        claimed = _tried(False, source.claims, image)[0]
        ids.append(_tried(_NO_KEYS, _document_id, source, change)[0] if claimed else _NO_KEYS)
    if concerned and ids[1] and change.new is not None and not fault:
        fault = _tried(None, source.document, change.new)[1]
    why = tuple(_of_entity(declared.of, change))
    return Reason("index", f"index '{declared.name}'", declared.of.name, concerned, why, ids[0], ids[1], fault)


def _document_id(source: Source, change: Change) -> tuple[str, ...]:
    return (source.place(change.keys)["_id"],)


def _of_rule(rule: Rule, change: Change) -> Reason:
    why = _of_entity(rule.of, change)
    item = rule.on.item(change) if rule.of.reads(change.source) else None
    event = f"{type(rule.on).__name__} ({', '.join(sorted(rule.on.kinds))})"
    why.append(f"The rule waits for {event}; this change {'is' if item is not None else 'is not'} such an event.")
    wants, fault = _tried(False, rule.wants, item) if item is not None else (False, "")
    if item is not None and not fault:
        why.append(f"The rule {'is' if wants else 'is not'} about this item, by its entity, where and consent.")
        fault = _tried(None, compose, rule, item)[1] if wants else ""
    return Reason("welcome", f"rule '{rule.name}'", rule.of.name, wants or bool(fault), tuple(why), fault=fault)


def _of_replica(declared: Replica | None, change: Change) -> Reason:
    if not isinstance(declared, Mirror):
        return Reason("replicate", "replica", "", True, ("Every item is kept in all regions.",))
    why = _of_entity(declared.of, change) if declared.of is not None else ["The mirror takes every item."]
    held, fault = [], ""
    for when, image in (("before", change.old), ("after", change.new)):
        found, wrong = _tried(False, declared.holds, image) if image is not None else (False, "")
        fault = fault or wrong
        held.append(found)
        if image is not None and not wrong:
            why.append(f"The replica {'has' if found else 'leaves out'} the item {when} the change.")
    name = declared.of.name if declared.of is not None else ""
    return Reason("replicate", "mirror", name, any(held) or bool(fault), tuple(why), fault=fault)


def known(branches: Sequence[str], declared: Callable[[str], Any], change: Change) -> tuple[str, ...]:
    """The entities of all branches that claim the item, each once."""
    names = [name for branch in branches for name in entity_names(branch, declared(branch), change)]
    return tuple(dict.fromkeys(names))
