"""Views over the rows of other views: a second derive reads the derived table's stream."""

from random import Random

import pytest

from distributary.consumer.deadline import FOREVER
from distributary.consumer.outcome import APPLIED, IGNORED, Status
from distributary.derive import Aggregate, Entity, Projection, rows_of
from distributary.derive.factory import build
from distributary.errors import ConfigError
from distributary.stream.change import Change, Image
from distributary.stream.records import decode
from tests.fakes.built import DERIVED, derive, derive_settings
from tests.fakes.serial import Serial
from tests.fakes.streaming import Streaming, arn_of, streams
from tests.unit.test_several_tables import settings

ORDER = Entity(name="order", keys=("id",), attributes=("customer", "country", "total"))
SALES = Aggregate(
    name="sales",
    of=ORDER,
    pk="CUSTOMER#{customer}",
    sk="TOTALS",
    count="orders",
    sum={"revenue": "total"},
    max={"greatest": "total"},
)
BY_COUNTRY = Projection(name="by-country", of=ORDER, pk="COUNTRY#{country}", sk="{id}", keep=("total",))
FIRST = (SALES, BY_COUNTRY)


def tier(row):
    return "large" if row["revenue"] >= 40 else "small"


SECOND = (
    Aggregate(
        name="tiers",
        of=rows_of(SALES),
        pk="TIER#{tier}",
        sk="TOTALS",
        compute={"tier": tier},
        count="customers",
        sum={"orders": "orders", "revenue": "revenue"},
        max={"greatest": "greatest"},
    ),
    Projection(name="customer", of=rows_of(SALES), pk="ALL", sk="{pk}#{sk}", keep=("revenue",)),
)
FAR = {"derived": "far-derived", "ledger": "far-ledger", "tombstones": "far-tombstones"}


class Service(Streaming):
    """Its transactions leave records of the derived table as well."""

    def transact_write_items(self, **arguments):
        before = dict(self.state["derived"])
        answer = super().transact_write_items(**arguments)
        now = self.state["derived"]
        for pk, sk in sorted({*before, *now}):
            if before.get((pk, sk)) != now.get((pk, sk)):
                self._changed("derived", {"pk": {"S": pk}, "sk": {"S": sk}}, before.get((pk, sk)), now.get((pk, sk)))
        return answer


class Town:
    """Orders, and two stacks: the second one reads the first one's derived table."""

    def __init__(self, seed=0):
        self.random = Random(seed)
        schemas = {"orders": {"id": "S"}, **DERIVED, **{far: DERIVED[near] for near, far in FAR.items()}}
        of = {table: arn_of(table) for table in ("orders", "derived")}
        self.service = Service(schemas, streams=streams(of, self.random))
        self.branches = {
            "orders": derive(FIRST, self.service),
            "derived": derive(SECOND, self.service, lambda name: FAR.get(name, name)),
        }
        self.given = dict.fromkeys(self.branches, 0)

    def change(self):
        id = f"o{self.random.randrange(12)}"
        if self.random.random() < 0.3:
            self.service.delete_item(TableName="orders", Key={"id": {"S": id}})
            return
        item = {"id": {"S": id}, "customer": {"S": self.random.choice("abcd")}, "country": {"S": "at"}}
        self.service.put_item(TableName="orders", Item={**item, "total": {"N": str(self.random.randrange(30))}})

    def deliver(self, table):
        """What is new, with something that came before, in any order."""
        records = self.service.records(table)
        batch = [*self.random.sample(records, min(3, len(records))), *records[self.given[table] :]]
        self.given[table] = len(records)
        self.random.shuffle(batch)
        changes = [each for each in decode({"Records": batch}, 0) if isinstance(each, Change)]
        ends = {end.status for end in self.branches[table].apply(changes, FOREVER)}
        assert ends <= {Status.APPLIED, Status.SUPERSEDED, Status.IGNORED}

    def tiers(self):
        """As the second stack's table has them."""
        found = self.service.state["far-derived"]
        names = ("customers", "orders", "revenue", "greatest")
        return {pk: tuple(int(row[n]["N"]) for n in names) for (pk, _), row in found.items() if pk[:5] == "TIER#"}

    def customers(self):
        rows = self.service.state["far-derived"]
        return {sk: int(row["revenue"]["N"]) for (pk, sk), row in rows.items() if pk == "ALL"}

    def totals(self):
        """Each customer's orders, recomputed from the orders."""
        found = {}
        for item in self.service.state["orders"].values():
            found.setdefault(item["customer"]["S"], []).append(int(item["total"]["N"]))
        return found


def recomputed(totals):
    found = {}
    for each in totals.values():
        name = "TIER#large" if sum(each) >= 40 else "TIER#small"
        before = found.get(name, (0, 0, 0, 0))
        found[name] = (before[0] + 1, before[1] + len(each), before[2] + sum(each), max(before[3], *each))
    return found


@pytest.mark.parametrize("seed", range(30))
def test_two_levels_are_what_the_source_determines_in_any_order(seed):
    town = Town(seed)
    for _ in range(25):
        for _ in range(town.random.randint(1, 4)):
            town.change()
        town.deliver(town.random.choice(("orders", "derived")))
    for table in ("orders", "derived", "derived"):
        town.deliver(table)
    totals = town.totals()
    assert town.tiers() == recomputed(totals)
    assert town.customers() == {f"CUSTOMER%23{name}#TOTALS": sum(each) for name, each in totals.items()}


@pytest.mark.parametrize(
    ("pk", "sk", "is_row"),
    [
        ("CUSTOMER#a", "TOTALS", True),
        ("CUSTOMER#a", "OTHER", False),
        ("COUNTRY#at", "o1", False),
        ("%msales|total|CUSTOMER#a|TOTALS", "TOTALS", False),
        ("%h0123", "TOTALS", False),
        ("CUSTOMER#a%s0", "TOTALS", False),
    ],
)
def test_rows_of_a_view_are_no_others_and_no_counted_members(pk, sk, is_row):
    keys = Image({"pk": {"S": pk}, "sk": {"S": sk}})
    assert rows_of(SALES).claims(keys) is is_row


def test_a_template_without_text_takes_no_counted_member_for_a_row():
    plain = Aggregate(name="plain", of=ORDER, pk="{customer}", sk="{country}", count="orders")
    member = Image({"pk": {"S": "%mplain|total|a|at"}, "sk": {"S": "x"}})
    assert not rows_of(plain).claims(member)


def test_what_a_row_shows_can_be_named_and_nothing_of_our_own():
    names = rows_of(SALES).attributes
    assert {"orders", "revenue", "greatest"} <= set(names)
    assert not [name for name in names if name.startswith("_distributary_")]


def test_a_change_of_our_own_attributes_alone_costs_no_request():
    town = Town()
    row = {"pk": {"S": "CUSTOMER#a"}, "sk": {"S": "TOTALS"}, "orders": {"N": "1"}, "revenue": {"N": "3"}}
    for revision in "12":
        town.service.put_item(TableName="derived", Item={**row, "_distributary_revision": {"S": revision}})
    inserted, changed = decode({"Records": town.service.records("derived")}, 0)
    assert town.branches["derived"].apply([inserted], FOREVER) == [APPLIED]
    before = town.service.calls.copy()
    assert town.branches["derived"].apply([changed], FOREVER) == [IGNORED]
    assert town.service.calls == before


def test_shards_are_parts_and_no_items():
    spread = Aggregate(name="spread", of=ORDER, pk="ALL", sk="ALL", count="orders", shards=4)
    with pytest.raises(ConfigError, match="view 'spread' has shards, so none of its rows is a whole group"):
        rows_of(spread)


def test_a_function_that_would_read_its_own_rows_does_not_start():
    own = settings(arn_of("orders"), arn_of("derived"))
    assert own.derived_table == derive_settings().derived_table == "derived"
    second = Projection(name="customer", of=rows_of(SALES, "derived"), pk="ALL", sk="{pk}#{sk}")
    with pytest.raises(ConfigError, match="the function would read the table 'derived' that it writes"):
        build([second], own, lambda *_, **__: None, Serial())
