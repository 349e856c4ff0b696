"""Your derived views; see README.md."""

from decimal import Decimal

from distributary.derive import Aggregate, Entity, Latest, Projection
from distributary.stream.change import Image

USER = Entity(
    name="user",
    keys=("user_id",),
    attributes=("email", "name", "status", "balance", "avatar", "tags", "visits", "expires_at"),
)


def domain(user: Image) -> str:
    """The part of the address behind the `@`."""
    address = user["email"]
    if not isinstance(address, str) or "@" not in address:
        raise ValueError("not an e-mail address")
    return address.rpartition("@")[2].lower()


def visits(user: Image) -> Decimal | None:
    """How often the user came; None, which adds nothing, if that is not known as a number."""
    found = user.get("visits")
    return found if isinstance(found, Decimal) else None


VIEWS = [
    Projection(
        name="profile",
        of=USER,
        pk="USER#{user_id}",
        sk="PROFILE",
        keep=("name", "balance", "avatar", "tags"),
        rename={"email": "contact"},
        compute={"domain": domain},
        expires_at="expires_at",
    ),
    Projection(
        name="active",
        of=USER,
        pk="ACTIVE",
        sk="USER#{user_id}",
        keep=("name",),
        where=lambda user: user.get("status") == "active",
    ),
    Projection(
        name="by-tag",
        of=USER,
        pk="TAG#{each}",
        sk="USER#{user_id}",
        each="tags",
        keep=("name",),
    ),
    Aggregate(
        name="by-status",
        of=USER,
        pk="STATUS#{status}",
        sk="TOTALS",
        count="users",
        sum={"visits": visits},
        average={"mean_visits": visits},
        max={"most_visits": visits},
        distinct={"names": "name"},
    ),
    Latest(
        name="most-visited",
        of=USER,
        pk="STATUS#{status}",
        sk="MOST-VISITED",
        by="visits",
        keep=("user_id", "name", "visits"),
        where=lambda user: visits(user) is not None,
    ),
]
