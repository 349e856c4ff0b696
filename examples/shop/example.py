"""A shop of three tables, which ElectroDB writes: fifteen views, a search of orders, messages and a mirror."""

from pathlib import Path

from examples.shop import recompute, writer
from local.examples import Example, Tier

HERE = Path(__file__).parent
ORDERS = {name: HERE / name for name in ("index", "welcome", "replicate")}

EXAMPLE = Example(
    tables=writer.TABLES,
    tiers=(
        Tier(
            "shop-app",
            {"derive": HERE / "derive", **ORDERS},
            parameters={"WelcomeEventNames": "INSERT,MODIFY", "ReplicaTableName": "orders-replica"},
        ),
        Tier("shop-app-tiers", {"derive": HERE / "tiers"}, over="shop-app"),
    ),
    indexes=("orders",),
    document_name=("id",),
    write=writer.run,
    expected=recompute.expected,
)
