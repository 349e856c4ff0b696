"""Declarations of messages to new users, checked before the first change."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from string import Formatter

from distributary.change import Image
from distributary.codec import number_text
from distributary.errors import ConfigError, Rejected
from distributary.keys import NAME
from distributary.views import Entity, Predicate

ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
"""An addr-spec of plain ASCII: nothing in it can end a header or add a second recipient."""

_ADDRESS_BYTES = 254
_VALUE_CHARACTERS = 200
"""Of a value in a message: a name has room, an advertisement has not."""

_HIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One message for each new item of an entity.

    `to` names the attribute with the address; `subject` and `text` are templates over the entity's attributes, such
    as `Welcome, {name}`. `where` leaves items out.
    """

    name: str
    of: Entity
    to: str
    subject: str
    text: str
    where: Predicate | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """A plain-text e-mail to one address."""

    to: str
    subject: str
    text: str


def compose(rule: Rule, item: Image) -> Message:
    """The rule's message for an item. Raises Rejected for a missing attribute and for what is no e-mail address."""
    address = _text(item, rule.to)
    if not ADDRESS.fullmatch(address) or len(address) > _ADDRESS_BYTES:
        raise Rejected(f"'{rule.to}' is no e-mail address")
    return Message(address, _HIDDEN.sub(" ", _fill(rule.subject, item)), _fill(rule.text, item))


def check(rules: Sequence[Rule]) -> tuple[Rule, ...]:
    """The rules as they stand. Raises ConfigError that names every fault of every rule at once."""
    faults = [] if rules else ["no rule is declared: add one to rules.py"]
    names = [rule.name for rule in rules]
    for rule in rules:
        declared = {*rule.of.keys, *rule.of.attributes}
        if not NAME.fullmatch(rule.name) or names.count(rule.name) > 1:
            faults.append(f"rule '{rule.name}': a name is unique and made of letters, digits, '_', '.', '-'")
        for template in (f"{{{rule.to}}}", rule.subject, rule.text):
            try:
                unknown = [name for name in _fields(template) if name not in declared]
            except ValueError as error:
                faults.append(f"rule '{rule.name}': template '{template}': {error}")
                continue
            faults += [f"rule '{rule.name}': '{name}' is not declared by '{rule.of.name}'; add it" for name in unknown]
    if faults:
        raise ConfigError(faults)
    return tuple(rules)


def _fields(template: str) -> list[str]:
    pieces = list(Formatter().parse(template))
    if any(spec or conversion or name == "" for _, name, spec, conversion in pieces):
        raise ValueError("write a field as {name}")
    return [name for _, name, _, _ in pieces if name is not None]


def _fill(template: str, item: Image) -> str:
    return "".join(
        literal + (_shown(item, name) if name is not None else "")
        for literal, name, _, _ in Formatter().parse(template)
    )


def _shown(item: Image, name: str) -> str:
    """An attribute as it may stand in a message: one line, and not a long one."""
    return _HIDDEN.sub(" ", _text(item, name))[:_VALUE_CHARACTERS]


def _text(item: Image, name: str) -> str:
    """An attribute as text; attributes of the user's own naming are looked up, never evaluated."""
    if name not in item:
        raise Rejected(f"the item has no attribute '{name}'")
    value = item[name]
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return number_text(value)
    raise Rejected(f"'{name}' is neither a string nor a number")
