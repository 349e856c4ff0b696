"""Declarations as texts, so that what rows were written under can be kept and compared with what is declared now."""

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from operator import attrgetter, itemgetter, methodcaller
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType
from typing import Any

from distributary.stream.canonical import digest
from distributary.stream.entity import Entity

Description = Mapping[str, str]
"""A text by each field of a declaration that says something; `kind` is its class."""

_COMPILED = re.compile(r"function:([0-9.]+):")
NOT_DECLARED: Description = {}
"""Of a view that was not declared for a while. Where it comes first, the view is new and was never filled."""
NEVER_FILLED = "never filled"
"""Stands among the fields for a new view that knows nothing of the items that were there before it."""


def written_in(told: Mapping[str, Any]) -> dict[str, list[Description]]:
    """By view, the declarations that its rows were written under, of what a function answers to `declarations`."""
    since = told.get("since", {})
    return {name: [first, *since.get(name, ())] for name, first in told["written"].items()}


@dataclass(frozen=True, slots=True)
class Changes:
    """Between two declarations: names of views that are `new` or `removed`, and of those that `changed` the fields."""

    new: list[str]
    removed: list[str]
    changed: dict[str, list[str]]


def changes(before: Mapping[str, Sequence[Description]], now: Mapping[str, Description]) -> Changes:
    """What is to be filled, retired and rebuilt; `before`: all declarations that rows of a view were written under."""
    changed = {
        name: sorted({field for place, former in enumerate(before[name]) for field in _missed(former, each, place)})
        for name, each in now.items()
        if name in before
    }
    return Changes(
        sorted(now.keys() - before.keys()),
        sorted(before.keys() - now.keys()),
        {name: fields for name, fields in sorted(changed.items()) if fields},
    )


def added(
    before: Mapping[str, Sequence[Description]], now: Mapping[str, Description], comes_later: bool = False
) -> dict[str, list[Description]]:
    """With the declarations of now, where rows are written under another one than before; `comes_later`: a view that is
    not known comes to others, which were there before. Of those that came since the first, one of each pair of keys is
    kept: a rebuild looks for rows by their keys."""
    found = {name: list(former) for name, former in before.items()}
    for name in dict.fromkeys((*before, *now)):
        each, former = now.get(name, NOT_DECLARED), found.setdefault(name, [NOT_DECLARED] if comes_later else [])
        if not any(_missed(one, each) == [] for one in former):
            later = [one for one in former[1:] if _keys(one) != _keys(each)]
            found[name] = [*former[:1], *later, each]
    return found


def _keys(each: Description) -> tuple[str, str]:
    return each.get("pk", ""), each.get("sk", "")


def _missed(before: Description, now: Description, place: int = 1) -> list[str]:
    """The fields that differ; `place`: of `before` among those that rows were written under."""
    if bool(before) != bool(now):
        return ["declared again" if place else NEVER_FILLED]
    return differing(before, now)


def differing(before: Description, now: Description) -> list[str]:
    """The fields that differ. Functions that different versions of Python have compiled cannot be compared, and are
    taken as equal."""
    names = sorted({*before, *now})
    return [name for name in names if not _same(before.get(name, ""), now.get(name, ""))]


def _same(one: str, other: str) -> bool:
    compiled = _pythons(one), _pythons(other)
    return one == other or (all(compiled) and compiled[0] != compiled[1])


def _pythons(text: str) -> set[str]:
    return set(_COMPILED.findall(text))


def text(value: Any) -> str:
    """Empty for what says nothing. A function is described by its compiled code; what it calls is not followed."""
    match value:
        case None | () | "":
            return ""
        case Entity():
            return " ".join(map(text, (*value.keys, value.where)))
        case str():
            return value
        case Mapping():
            return " ".join(f"{name}={text(each)}" for name, each in sorted(value.items()))
        case Sequence():
            return " ".join(map(text, value))
    if callable(value):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return f"function:{version}:{digest(*_code(value))}"
    return str(value)


def _code(function: Any, within: frozenset[int] = frozenset()) -> Iterator[str]:
    """What a function does, as texts: its instructions, names and constants, and the values that it was made with.
    `within`: the ids of what is being described, which it may hold itself."""
    yield type(function).__name__
    if id(function) in within:
        return
    within |= {id(function)}
    if isinstance(function, FunctionType):
        yield from _compiled(function.__code__)
    elif isinstance(function, BuiltinFunctionType | type):
        yield function.__qualname__
        return
    elif isinstance(called := getattr(type(function), "__call__", None), FunctionType):  # noqa: B004
        yield from _code(called, within)
    for each in _made_with(function):
        yield from _code(each, within) if callable(each) else [_constant(each, within)]


def _made_with(function: Any) -> list[Any]:
    """Closure and defaults, a partial's arguments, a method's object, and the attributes of an object, in order of
    their names."""
    match function:
        case FunctionType():
            cells = [_content(each) for each in function.__closure__ or ()]
            return [*cells, *(function.__defaults__ or ()), *_items(function.__kwdefaults__ or {})]
        case partial():
            return [function.func, *function.args, *_items(function.keywords)]
        case MethodType():
            return [function.__func__, *_items(_attributes(function.__self__))]
        case itemgetter() | attrgetter() | methodcaller():
            return list(function.__reduce__()[1:])
    return _items(_attributes(function))


def _content(cell: CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _attributes(value: Any) -> dict[str, Any]:
    slots = [getattr(kind, "__slots__", ()) for kind in type(value).__mro__]
    names = {name for each in slots for name in ([each] if isinstance(each, str) else each)}
    kept = {name: getattr(value, name) for name in names - {"__dict__", "__weakref__"} if hasattr(value, name)}
    return {**kept, **getattr(value, "__dict__", {})}


def _items(values: Mapping[str, Any]) -> list[Any]:
    return [each for name in sorted(values) for each in (name, values[name])]


def _compiled(code: CodeType) -> Iterator[str]:
    yield code.co_code.hex()
    yield from code.co_names
    for each in code.co_consts:
        yield from _compiled(each) if isinstance(each, CodeType) else [_constant(each)]


def _constant(value: Any, within: frozenset[int] = frozenset()) -> str:
    """The same text in each process: another object's text may hold an address, and its type stands for it."""
    if id(value) in within:
        return type(value).__name__
    within |= {id(value)}
    match value:
        case None | bool() | int() | float() | complex() | str() | bytes() | Decimal():
            return repr(value)
        case tuple() | list():
            return f"({','.join(_constant(each, within) for each in value)})"
        case frozenset() | set():
            return f"{{{','.join(sorted(_constant(each, within) for each in value))}}}"
        case dict():
            pairs = (f"{_constant(name, within)}:{_constant(each, within)}" for name, each in value.items())
            return f"{{{','.join(sorted(pairs))}}}"
    return f"({','.join(_code(value, within - {id(value)}))})" if callable(value) else type(value).__name__
