"""What a derived row holds besides its key."""

from collections.abc import Mapping
from decimal import Decimal

from distributary.derive.declarations import Projection
from distributary.derive.view import EXPIRY, View
from distributary.stream.change import Image
from distributary.stream.codec import Typed, encode, for_client
from distributary.stream.entity import guarded


def expiry_of(row: Mapping[str, Typed]) -> int | None:
    """When the derived table's TTL may take the row, in epoch seconds; None if it never does."""
    typed = row.get(EXPIRY, {})
    return int(Decimal(typed["N"])) if "N" in typed else None


def content_of(view: View, item: Image) -> dict[str, Typed]:
    """Copied attributes exactly, computed ones, and the row's expiry. Raises Rejected."""
    content: dict[str, Typed] = {
        name: for_client(item.typed(source), source) for name, source in view.copied.items() if source in item
    }
    content |= {name: encode(value, name) for name, value in view.computed(item).items()}
    expiry = view.declared.expires_at if isinstance(view.declared, Projection) else None
    if callable(expiry):
        moment = guarded("expires_at", expiry, item)
        content |= {EXPIRY: encode(moment, EXPIRY)} if moment is not None else {}
    elif expiry and expiry in item:
        content[EXPIRY] = for_client(item.typed(expiry), expiry)
    return content
