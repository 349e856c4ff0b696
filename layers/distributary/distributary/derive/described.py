"""A view's declaration as texts: what its rows depend on."""

from dataclasses import fields

from distributary.derive.declarations import Join
from distributary.derive.view import View
from distributary.stream.described import text


def described(view: View) -> dict[str, str]:
    """What the view's rows depend on. A function is described by its compiled code; what it calls is not followed."""
    declared, entity = view.declared, view.declared.of
    found = {"kind": type(declared).__name__, "of.keys": text(entity.keys), "of.where": text(entity.where)}
    found["of.table"] = text(entity.table)
    if isinstance(declared, Join):
        found["right.table"] = text(declared.right.table)
    names = [each.name for each in fields(declared) if each.name not in ("name", "of")]
    found |= {name: text(getattr(declared, name)) for name in names}
    return {name: text for name, text in found.items() if text}
