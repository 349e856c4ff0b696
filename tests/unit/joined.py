"""Orders and customers in two tables, joined: what the tests of joins declare and deliver."""

from random import Random

from distributary.consumer.deadline import FOREVER
from distributary.derive import Entity, Join
from distributary.derive.join_rows import OWN, is_joined
from distributary.stream.codec import decode_item
from distributary.stream.records import decode
from tests.fakes.built import DERIVED, derive
from tests.fakes.streaming import Streaming, arn_of, streams

ORDER = Entity(name="order", keys=("id",), attributes=("customer_id", "total", "status"), table="orders")
CUSTOMER = Entity(name="customer", keys=("id",), attributes=("name", "country", "tier"), table="customers")


def declared(**more):
    """A left join of orders with their customers' names."""
    given = {
        "name": "orders",
        "of": ORDER,
        "right": CUSTOMER,
        "on": "customer_id",
        "pk": "ORDER",
        "sk": "{id}",
        "keep": ("total",),
        "keep_right": ("name",),
    }
    return Join(**given | more)


LEFT = declared()
INNER = declared(kind="inner")
OWNED = declared(pk="CUSTOMER#{customer_id}", sk="ORDER#{id}")
OPEN = declared(where=lambda pair: pair["status"] == "open" and pair.get("customer.tier") == "gold")
BY_COUNTRY = declared(pk="COUNTRY#{customer.country}", sk="ORDER#{id}", kind="inner")


class Shop:
    """Two source tables, and a branch that hears of their changes when a test says so."""

    def __init__(self, *views, client=lambda service: service, keys=("id", "id"), **tables):
        service = streams({"orders": arn_of("orders"), "customers": arn_of("customers")}, Random(1))
        self.keys = dict(zip(("orders", "customers"), keys, strict=True))
        schemas = {table: {key: "S"} for table, key in self.keys.items()}
        self.service = Streaming({**schemas, **DERIVED}, service)
        self.service.page_items = 1000
        self.branch = derive(views, client(self.service), **tables)
        self.branch.apply([], FOREVER)

    def put(self, table, id, **values):
        """An item; its record."""
        typed = {name: value if isinstance(value, dict) else {"S": value} for name, value in values.items()}
        self.service.put_item(TableName=table, Item={self.keys[table]: {"S": id}, **typed})
        return self.service.records(table)[-1]

    def delete(self, table, id):
        """Its record."""
        self.service.delete_item(TableName=table, Key={self.keys[table]: {"S": id}})
        return self.service.records(table)[-1]

    def deliver(self, *records):
        """The outcomes of one batch."""
        return self.branch.apply(decode({"Records": list(records)}, 0), FOREVER)

    def statuses(self, *records):
        """What became of each."""
        return [str(end.status.value) for end in self.deliver(*records)]

    def rows(self):
        """What a reader sees."""
        hidden = {"pk", "sk", *OWN}
        return {
            key: {name: value for name, value in decode_item(row).items() if name not in hidden}
            for key, row in self.service.state["derived"].items()
            if not is_joined(row)
        }

    def stored(self):
        """What is stored beside the rows."""
        return {key: row for key, row in self.service.state["derived"].items() if is_joined(row)}

    def costs(self, *records):
        """Write units, read units and queries of one batch."""
        before = self.service.write_units, self.service.read_units, self.service.calls["Query"]
        self.deliver(*records)
        service = self.service
        now = service.write_units, service.read_units, service.calls["Query"]
        return tuple(after - earlier for after, earlier in zip(now, before, strict=True))
