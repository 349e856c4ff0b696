"""Two images of an item as a difference: a row for each attribute, and for each part of a map or a list in it."""

from collections.abc import Iterator, Mapping
from typing import Any

DEPTH = 32
"""As deep as DynamoDB nests (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html). What
is deeper is shown whole."""

_ABSENT: Any = object()


def difference(old: Mapping[str, Any] | None, new: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """Rows of `path` (a list of names and places), `state` (same, added, removed, changed), and `old` and `new` as
    DynamoDB JSON where they exist. Equal attributes are one row each, whatever is in them."""
    before, after = _mapping(old), _mapping(new)
    rows: list[dict[str, Any]] = []
    for name in sorted(before.keys() | after.keys()):
        rows += _rows([name], before.get(name, _ABSENT), after.get(name, _ABSENT), DEPTH)
    return rows


def _mapping(image: Any) -> Mapping[str, Any]:
    return image if isinstance(image, Mapping) else {}


def _rows(path: list[str | int], old: Any, new: Any, depth: int) -> Iterator[dict[str, Any]]:
    if old is not _ABSENT and new is not _ABSENT and _same(old, new):
        yield {"path": path, "state": "same", "old": old, "new": new}
        return
    inner = _parts(old, new) if depth else None
    if inner is None:
        yield _row(path, old, new)
        return
    before, after = inner
    for part in sorted(before.keys() | after.keys(), key=lambda each: (isinstance(each, str), each)):
        yield from _rows([*path, part], before.get(part, _ABSENT), after.get(part, _ABSENT), depth - 1)


def _same(old: Any, new: Any) -> bool:
    """Sets have no order. What is nested too deep to be compared is taken for different."""
    try:
        return bool(_ordered(old) == _ordered(new))
    except RecursionError:
        return False


def _ordered(typed: Any) -> Any:
    if isinstance(typed, Mapping) and len(typed) == 1:
        ((kind, value),) = typed.items()
        if kind in ("SS", "NS", "BS") and isinstance(value, list):
            return {kind: sorted(map(str, value))}
    return typed


def _parts(old: Any, new: Any) -> tuple[dict[Any, Any], dict[Any, Any]] | None:
    """The parts of two maps or of two lists; None if they are anything else, or an empty one."""
    for kind in ("M", "L"):
        if _is(old, kind) and _is(new, kind) and (old[kind] or new[kind]):
            return _by_name(old[kind]), _by_name(new[kind])
    return None


def _is(typed: Any, kind: str) -> bool:
    return isinstance(typed, Mapping) and set(typed) == {kind} and isinstance(typed[kind], Mapping | list)


def _by_name(value: Any) -> dict[Any, Any]:
    return dict(value) if isinstance(value, Mapping) else dict(enumerate(value))


def _row(path: list[str | int], old: Any, new: Any) -> dict[str, Any]:
    state = "added" if old is _ABSENT else "removed" if new is _ABSENT else "changed"
    given = {"old": old, "new": new}
    return {"path": path, "state": state, **{name: each for name, each in given.items() if each is not _ABSENT}}
