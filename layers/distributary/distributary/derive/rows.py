"""What a derived row holds besides its key."""

from collections.abc import Mapping
from decimal import Decimal

from distributary.derive.declarations import Projection
from distributary.derive.scope import Scope, read
from distributary.derive.view import EXPIRY, View
from distributary.stream.codec import Typed, encode, for_client


def expiry_of(row: Mapping[str, Typed]) -> int | None:
    """When the derived table's TTL may take the row, in epoch seconds; None if it never does."""
    typed = row.get(EXPIRY, {})
    return int(Decimal(typed["N"])) if "N" in typed else None


def content_of(view: View, scope: Scope) -> dict[str, Typed]:
    """Copied attributes exactly, computed ones, and the row's expiry. Raises Rejected."""
    image = scope.image
    content: dict[str, Typed] = {
        name: for_client(image.typed(source), source) for name, source in view.copied.items() if source in image
    }
    content |= {name: encode(scope.computed(name), name) for name in view.declared.compute}
    expiry = view.declared.expires_at if isinstance(view.declared, Projection) else None
    if isinstance(expiry, str) and expiry in image and expiry not in view.declared.compute:
        content[EXPIRY] = for_client(image.typed(expiry), expiry)
    elif (moment := read("expires_at", expiry, scope)) is not None:
        content[EXPIRY] = encode(moment, EXPIRY)
    return content
