"""Your derived views. Keys of derived rows are templates over the source table's keys; see README.md."""

from distributary.change import Image
from distributary.views import Entity, Projection

USER = Entity(
    name="user",
    keys=("user_id",),
    attributes=("email", "name", "status", "balance", "avatar", "tags", "expires_at"),
)


def domain(user: Image) -> str:
    """The part of the address behind the `@`."""
    address = user["email"]
    if not isinstance(address, str) or "@" not in address:
        raise ValueError("not an e-mail address")
    return address.rpartition("@")[2].lower()


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
]
