"""Whether a change was made by Distributary's replicator, and not by the application."""

from collections.abc import Mapping
from typing import Any

from distributary.errors import Rejected
from distributary.stream import canonical
from distributary.stream.change import REPLICA_VERSION, Change, rewritten
from distributary.stream.codec import Typed


def replicated(change: Change) -> bool:
    """Whether a replicator wrote the new image: it changed the version attribute, and where all regions are written to,
    the attribute also names this very content. An application that puts an item it read a while ago brings along an
    attribute that is older and was written with other content. Raises Rejected as `rewritten`."""
    if change.new is None or not rewritten(change, REPLICA_VERSION):
        return False
    content = {name: typed for name, typed in change.new.raw.items() if name != REPLICA_VERSION}
    try:
        return _names(change.new.typed(REPLICA_VERSION), content)
    except (Rejected, LookupError, TypeError, ValueError, AttributeError):
        return False


def _names(stamp: Any, content: Mapping[str, Typed]) -> bool:
    """Of the three forms of the attribute: a mirror's is a version alone; the other two carry a digest."""
    if "M" in stamp:
        return bool(stamp["M"]["digest"]["S"] == canonical.digest(canonical.image(content)))
    kind, _, rest = stamp["S"].partition(".")
    if kind not in ("live", "gone"):
        return True
    digest, stated = rest.split(".", 1)
    return bool(digest == canonical.digest(canonical.image(content), stated))
