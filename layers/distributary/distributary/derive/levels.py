"""Rows of a derived table as items of further views, which a second derive keeps by the derived table's stream."""

from distributary.derive.declarations import Aggregate, Declaration, Top
from distributary.derive.delta import EXPIRY
from distributary.derive.join_validation import entities
from distributary.derive.validation import check, outputs
from distributary.derive.view import KEY_ATTRIBUTES
from distributary.errors import ConfigError
from distributary.stream.change import Image
from distributary.stream.entity import Entity

_MEMBER, _SHARD = ("%m", "%h", "%j"), "%s"
"""What the partition keys of counted members and joined items begin with, and those of shards contain: no template
writes it."""


def rows_of(view: Declaration, table: str | None = None) -> Entity:
    """The rows of a view, as an entity for views of a second stack that reads the derived table's stream.

    Its keys are `pk` and `sk`, its attributes what the row shows. Rows of other views and what Distributary counts by
    itself are not of the entity.

    Args:
        view: The view, as the first stack declares it.
        table: The derived table's name, if the second stack reads several tables.

    Returns:
        The entity.

    Raises:
        ConfigError: The view is wrong, or has `shards`: then a row is a part of a group, and tells nothing alone. Or it
            is a Top with `rows`, whose groups' rows show nothing.
    """
    (checked,) = check([view])
    if isinstance(view, Aggregate) and view.shards > 1:
        raise ConfigError(f"view '{view.name}' has shards, so none of its rows is a whole group: give it shards=1")

    if isinstance(view, Top) and view.rows:
        raise ConfigError(f"view '{view.name}' has rows=True, so its groups' rows show no entries: leave rows out")

    def where(row: Image) -> bool:
        pk, sk = row["pk"], row["sk"]
        if not (isinstance(pk, str) and isinstance(sk, str)) or pk.startswith(_MEMBER) or _SHARD in pk:
            return False
        return checked.read((pk, sk)) is not None

    edges = [*view.min, *view.max] if isinstance(view, Aggregate) else []
    own = [view.into] if isinstance(view, Top) else outputs(view)
    shown = tuple(dict.fromkeys([*own, *edges, EXPIRY]))
    under = tuple(name for entity in entities(view) for name in entity.rows_of)
    return Entity(
        name=view.name, keys=KEY_ATTRIBUTES, attributes=shown, where=where, table=table, rows_of=(view.name, *under)
    )
