"""What a project declares, before its slice checks the values: each declaration has its kind, each option its type."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from importlib import import_module
from types import NoneType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from distributary.stream.entity import Entity

KINDS = {
    "VIEWS": ("distributary.derive", ("Projection", "Aggregate", "Latest", "Earliest", "Top", "Join")),
    "INDEXES": ("distributary.index", ("Index",)),
    "RULES": ("distributary.welcome", ("Rule",)),
    "REPLICA": ("distributary.replicate", ("Mirror", "MultiActive")),
}
_WANTED = {
    "content": "one content for each locale, such as {'en': Content(...)}",
    "on": "INSERTED, EXPIRED or became(attribute, value)",
    "channel": "a channel's class, such as Sms",
    "fields": "a dict with a mapping or a Field for each field, such as {'title': {'type': 'text'}}",
    "mask": "a dict with a function for each attribute, such as {'email': lambda value: '-'}",
    "compute_right": "a dict with a function for each attribute, such as {'length': lambda item: len(item['title'])}",
    "compute": "a dict with a function for each attribute, such as {'length': lambda item: len(item['title'])}",
    "rule": "a rule, such as last_writer('updated_at')",
}


def faults(name: str, declared: Any) -> list[str]:
    """Of what VIEWS, INDEXES, RULES or REPLICA holds: everything that has another type than its declaration says."""
    module, names = KINDS[name]
    kinds = tuple(getattr(import_module(module), each) for each in names)
    one_of = " or ".join(names)
    if name == "REPLICA":
        return _of_one(declared, kinds, name, one_of)
    if isinstance(declared, kinds):
        return [
            f"{name} is one {type(declared).__name__}: put it into a list, {name} = [{type(declared).__name__}(...)]"
        ]
    if not isinstance(declared, Sequence) or isinstance(declared, str):
        return [f"{name} is {_shown(declared)}: give a list of {one_of}"]
    return [fault for each in declared for fault in _of_one(each, kinds, name, one_of)]


def _of_one(declared: Any, kinds: tuple[type, ...], name: str, one_of: str) -> list[str]:
    if type(declared) not in kinds:
        return [f"{name} has {_shown(declared)}: give {one_of}, with its options in brackets"]
    who = f"{type(declared).__name__} '{declared.name}'" if hasattr(declared, "name") else type(declared).__name__
    hints = get_type_hints(type(declared))
    given = {each.name: getattr(declared, each.name) for each in fields(declared)}
    return [
        f"{who}: {option} is {_shown(value)}: give {_wanted(option, hints[option])}"
        for option, value in given.items()
        if not _fits(value, hints[option])
    ]


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal or hint is Any or getattr(hint, "_is_protocol", False):
        return not (isinstance(value, str) and hint is not Any and origin is not Literal)
    if origin is Callable:
        return callable(value)
    if origin is Mapping:
        return isinstance(value, Mapping) and all(_fits(each, arguments[1]) for each in value.values())
    if origin is tuple:
        return isinstance(value, str | Sequence)  # a string lacks its comma, which the slice's check says
    if origin is type:
        return isinstance(value, type)
    if arguments and origin in (Union, type(int | str)):
        return any(_fits(value, each) for each in arguments)
    return isinstance(value, hint) and not (hint is int and isinstance(value, bool))


def _wanted(option: str, hint: Any) -> str:
    if option in _WANTED:
        return _WANTED[option]
    return " or ".join(dict.fromkeys(_names([hint])))


def _names(hints: Iterable[Any]) -> Iterable[str]:
    known = {str: "a string", int: "a whole number", bool: "True or False", Entity: "an Entity", NoneType: "None"}
    for hint in hints:
        if get_origin(hint) is Mapping:
            yield "a dict"
        elif get_origin(hint) is Callable:
            yield "a function"
        elif get_origin(hint) in (Union, type(int | str)):
            yield from _names(get_args(hint))
        else:
            yield known.get(hint, getattr(hint, "__name__", str(hint)))


def _shown(value: Any) -> str:
    """A short value of the user's file as it is there, of anything else its type."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    text, kind = repr(value), type(value).__name__
    if isinstance(value, str | int | float | set | None) and len(text) <= 40:
        return text
    return f"{'an' if kind[0] in 'AEIOU' else 'a'} {kind}"
