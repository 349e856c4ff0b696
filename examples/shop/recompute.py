"""What should be downstream, by SQL and by plain Python over the tables' items, without declarations."""

from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from examples.shop import sql
from examples.shop.writer import Journal
from local.downstream import Downstream, Rows, message
from local.examples import Tables

Item = dict[str, Any]


def expected(tables: Tables, journal: Journal) -> Downstream:
    """See `Example`."""
    read = TypeDeserializer().deserialize
    orders = [{name: read(typed) for name, typed in item.items()} for item in tables["orders"]]
    messages: Rows = {}
    for order, customer in journal.paid:
        messages |= message("order-paid", {"id": order, "customer": customer})
    replicated = {f"orders-replica / {order['id']}": order for order in orders}
    return Downstream(_rows(tables), _documents(orders), messages, replicated=replicated)


def _rows(tables: Tables) -> Rows:
    made = sql.rows(sql.database(tables), {**sql.VIEWS, **sql.OVER_VIEWS})
    keys = ("pk", "sk")
    return {" / ".join(key): {name: row[name] for name in row if name not in keys} for key, row in made.items()}


def _documents(orders: list[Item]) -> Rows:
    found: Rows = {}
    for order in orders:
        own = {name: order[name] for name in ("id", "customer", "status", "country", "placed_at") if name in order}
        products = sorted({line["sku"] for line in order["lines"]})
        more = {"products": products, "staff": order["by"], "total": float(order["total"])}
        found[f"orders / {order['id']}"] = {**own, **more}
    return found
