"""An application's reader: keys made and read, rows as plain values, pages that join up."""

import os
import re
import subprocess
import sys
from decimal import Decimal

import boto3
import pytest
from moto import mock_aws

from distributary.consumer.deadline import FOREVER
from distributary.consumer.parallel import Parallel
from distributary.derive import Aggregate, Entity, Latest, Projection, Top
from distributary.derive.branch import DeriveBranch
from distributary.derive.factory import build
from distributary.derive.reader import DerivedTable
from distributary.errors import ConfigError
from tests.contract.world import create_table
from tests.fakes.built import derive_settings
from tests.unit.records import change

ORDER = Entity(name="order", keys=("user_id",), attributes=("customer", "at", "total", "lines"))
VIEWS = [
    Projection(name="by-time", of=ORDER, pk="C#{customer}", sk="ORDER#{at}#{user_id}", keep=("total",)),
    Projection(name="by-total", of=ORDER, pk="T#{customer}", sk="{total:sortable}#{user_id}"),
    Projection(name="bare", of=ORDER, pk="BARE", sk="{user_id}"),
    Aggregate(name="each-time", of=ORDER, pk="C#{customer}", sk="ORDER#{at}", count="orders"),
    Aggregate(name="sales", of=ORDER, pk="C#{customer}", sk="TOTALS#", count="orders", sum={"revenue": "total"}),
    Aggregate(name="spread", of=ORDER, pk="S#{customer}", sk="ALL", count="orders", max={"most": "total"}, shards=5),
    Aggregate(name="sold", of=ORDER, pk="SKU#{each.sku}", sk="SOLD", each="lines", count="lines"),
    Latest(name="last", of=ORDER, pk="C#{customer}", sk="LAST#", by="at", keep=("total",)),
    Top(name="best", n=3, of=ORDER, pk="C#{customer}", sk="BEST#", by="total", keep=("total",)),
    Top(name="ranked", n=4, of=ORDER, pk="C#{customer}", sk="RANKED#", by="total", rows=True, keep=("total",)),
]


@pytest.fixture(scope="module")
def derived():
    with mock_aws():
        client = boto3.client("dynamodb", "eu-west-1", aws_access_key_id="test", aws_secret_access_key="test")
        settings = derive_settings()
        for table, schema in (
            (settings.derived_table, {"pk": "S", "sk": "S"}),
            (settings.ledger_table, {"id": "S"}),
            (settings.tombstone_table, {"id": "S"}),
        ):
            create_table(client, table, schema)
        branch: DeriveBranch = build(VIEWS, settings, lambda _: client, Parallel(1))
        orders = [change(at, user=f"o-{at:02}", new=order(at)) for at in range(1, 31)]
        assert {end.status.value for end in branch.apply(orders, FOREVER)} == {"Applied"}
        yield DerivedTable(client, settings.derived_table, VIEWS)


def order(at):
    sku = {"M": {"sku": {"S": "a#b" if at % 3 else "c"}}}
    customer = "ada" if at % 2 else "bob"
    moment = {"S": f"2026-{9 + at % 3:02}-{at:02}T12:00:00Z"}
    return {"customer": {"S": customer}, "at": moment, "total": {"N": str(at - 15)}, "lines": {"L": [sku]}}


def test_a_key_is_written_and_read_back(derived):
    sales, sold = derived["sales"], derived["sold"]
    assert sales.key(customer="ada") == {"pk": "C#ada", "sk": "TOTALS#"}
    assert sold.key({"each.sku": "a#b"}) == {"pk": "SKU#a%23b", "sk": "SOLD"}
    assert sold.parse({"pk": "SKU#a%23b", "sk": "SOLD"}) == {"each.sku": "a#b"}
    assert derived["by-total"].parse({"pk": {"S": "T#ada"}, "sk": {"S": "2201125-#o-1"}}) == {
        "customer": "ada",
        "total": Decimal("12.5"),
        "user_id": "o-1",
    }


def test_a_row_comes_with_what_its_key_holds(derived):
    assert derived["sales"].get(customer="ada") == {"customer": "ada", "orders": 15, "revenue": 0}
    assert derived["last"].get(customer="bob") == {"customer": "bob", "total": 11}
    assert derived["sold"].get({"each.sku": "a#b"}) == {"each.sku": "a#b", "lines": 20}
    assert derived["sales"].get(customer="eve", consistent=True) is None


def test_the_first_of_a_group_are_read_with_its_row_or_page_by_page(derived):
    assert [entry["total"] for entry in derived["best"].top(customer="ada").rows] == [14, 12, 10]
    assert derived["best"].get(customer="ada")["top"][0] == {"total": 14}
    found, start = [], None
    while len(found) < 15:
        page = derived["ranked"].top(customer="ada", start=start)
        assert 1 <= len(page.rows) <= 4
        found, start = [*found, *(entry["total"] for entry in page.rows)], page.next
    assert found == list(range(14, -15, -2))
    assert derived["ranked"].top(customer="eve").rows == []


def test_the_shards_of_a_group_are_read_as_one(derived):
    assert derived["spread"].get(customer="ada") == {"customer": "ada", "orders": 15, "most": 14}
    assert derived["spread"].get(customer="eve") is None
    with pytest.raises(ValueError, match="view 'spread' has shards: read each group with get"):
        derived["spread"].key(customer="ada")
    with pytest.raises(ValueError, match="view 'spread' has shards"):
        derived["spread"].query(customer="ada")
    assert derived["spread"].parse({"pk": "S#ada%s3", "sk": "ALL"}) == {"customer": "ada"}


@pytest.mark.parametrize("limit", [1, 2, 7, 15, 16, 100])
@pytest.mark.parametrize("reverse", [False, True])
def test_the_pages_of_a_query_join_up(derived, limit, reverse):
    """Another view has rows among them: they are passed over."""
    found, start = [], None
    while True:
        page = derived["by-time"].query(customer="ada", limit=limit, reverse=reverse, start=start)
        assert len(page.rows) <= limit
        found += page.rows
        start = page.next
        if start is None:
            break
    ordered = sorted((row["at"], row["user_id"]) for row in found)
    assert [(row["at"], row["user_id"]) for row in found] == (ordered[::-1] if reverse else ordered)
    assert sorted(row["user_id"] for row in found) == sorted(f"o-{at:02}" for at in range(1, 31, 2))
    assert all(row["customer"] == "ada" and set(row) == {"customer", "at", "user_id", "total"} for row in found)


@pytest.mark.parametrize(
    ("between", "months"),
    [
        (("2026-10", "2026-11"), {10, 11}),
        (("2026-10", None), {10, 11}),
        ((None, "2026-10"), {9, 10}),
        (("2026-09", "2026-09"), {9}),
        (("2027", None), set()),
    ],
)
def test_a_range_of_texts_includes_what_begins_with_its_ends(derived, between, months):
    rows = derived["by-time"].query(customer="ada", between=between).rows
    assert sorted(row["user_id"] for row in rows) == [f"o-{at:02}" for at in range(1, 31, 2) if 9 + at % 3 in months]


def test_a_range_of_numbers_is_one_of_values(derived):
    rows = derived["by-total"].query(customer="ada", between=(Decimal("-2"), 2)).rows
    assert [row["total"] for row in rows] == [-2, 0, 2]
    rows = derived["by-total"].query(customer="ada", between=(None, Decimal("-11.5"))).rows
    assert [row["total"] for row in rows] == [-14, -12]


def test_the_first_attributes_of_the_sort_key_narrow_a_query(derived):
    at = "2026-10-01T12:00:00Z"
    assert [row["user_id"] for row in derived["by-time"].query(customer="ada", at=at).rows] == ["o-01"]
    assert [row["user_id"] for row in derived["by-time"].query(customer="ada", at=at, user_id="o-01").rows] == ["o-01"]
    assert derived["by-time"].query(customer="ada", at="2026-10-01").rows == []
    assert len(derived["bare"].query().rows) == 30
    assert [row["user_id"] for row in derived["bare"].query(between=(None, "o-02")).rows] == ["o-01", "o-02"]


@pytest.mark.parametrize(
    ("read", "fault"),
    [
        (lambda d: d["sales"].get(), "view 'sales': template 'C#{customer}': the item has no attribute 'customer'"),
        (lambda d: d["sales"].get(customer=1), "'customer' is Decimal, expected S"),
        (lambda d: d["sales"].get(custmer="ada"), "its keys have no 'custmer'; they name customer"),
        (lambda d: d["by-time"].query(at="x"), "the item has no attribute 'customer'"),
        (lambda d: d["by-time"].query(customer="ada", user_id="o"), "give 'at' too: it stands before 'user_id'"),
        (lambda d: d["by-time"].query(customer="ada", between=(1, None)), "'at' is Decimal, expected S"),
        (lambda d: d["by-time"].query(customer="ada", limit=0), "limit is 0: give at least 1"),
        (lambda d: d["by-time"].query(customer="ada", start="?"), "start is not of this query"),
        (lambda d: d["by-time"].query(customer="ada", start="VE9UQUxTIw", between=("2026", "2026")), "start is not"),
        (lambda d: d["sales"].query(customer="ada", between=("a", None)), "between has nothing to choose"),
        (lambda d: d["sales"].parse({"pk": "X#ada", "sk": "TOTALS#"}), "writes no row under pk 'X#ada'"),
        (lambda d: d["sales"].parse({"pk": "C#a#b", "sk": "TOTALS#"}), "writes no row under pk 'C#a#b'"),
    ],
)
def test_what_no_row_can_be_is_refused_with_what_is_wrong(derived, read, fault):
    with pytest.raises(ValueError, match=re.escape(fault)):
        read(derived)


def test_no_value_reaches_another_s_partition(derived):
    hostile = "ada%23/../bob#\u0000"
    assert derived["sales"].parse(derived["sales"].key(customer=hostile)) == {"customer": hostile}
    assert derived["by-time"].query(customer="bob#").rows == []


def test_an_unknown_view_and_a_wrong_declaration_are_named(derived):
    with pytest.raises(KeyError, match="no view is called 'slaes': there are by-time, by-total, bare"):
        derived["slaes"]
    with pytest.raises(ConfigError, match="uses 'custmer'"):
        DerivedTable(derived["sales"].client, "t", [Projection(name="x", of=ORDER, pk="{custmer}", sk="{user_id}")])


def test_a_reader_needs_nothing_but_boto3():
    """What the functions run on is refused to the import: an application has none of it."""
    code = """
import sys

class Refused:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("aws_lambda_powertools", "msgspec", "opensearchpy", "typer", "rich"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Refused())
from distributary.derive.reader import DerivedTable
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment)
    assert ended.stderr == ""
