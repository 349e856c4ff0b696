"""`distributary costs` of a join: how many rows a right item is taken to have, and that the output says so."""

import json

import pytest

from cli.main import main
from cli.monthly import command
from tests.fakes.answers import refusal
from tests.fakes.dynamodb import DynamoDB

ONE_TABLE = """
from distributary.derive import Entity, Join, key_prefix
ORDER = Entity(name="order", keys=("pk", "sk"), attributes=("by", "total"), where=key_prefix("sk", "ORDER#"))
CUSTOMER = Entity(name="customer", keys=("pk", "sk"), attributes=("name",), where=key_prefix("sk", "PROFILE"))
VIEWS = [Join(name="named", of=ORDER, right=CUSTOMER, on={"pk": "C#{by}", "sk": "PROFILE"},
              pk="N#{by}", sk="{pk}/{sk}", keep=("total",), keep_right=("name",))]
"""
TWO_TABLES = """
from distributary.derive import Entity, Join
ORDER = Entity(name="order", keys=("id",), attributes=("by", "total"), table="orders")
CUSTOMER = Entity(name="customer", keys=("id",), attributes=("name",), table="customers")
VIEWS = [Join(name="named", of=ORDER, right=CUSTOMER, on="by", pk="N#{by}", sk="{id}", keep_right=("name",))]
"""
BY_HAND = ("--writes", "10", "--item-size", "500", "--region", "us-east-1")


class Shop(DynamoDB):
    """Customers with so many orders each; in one table, or in two."""

    def __init__(self, customers, orders):
        super().__init__({"shop": {"pk": "S", "sk": "S"}, "orders": {"id": "S"}, "customers": {"id": "S"}})
        for c in range(customers):
            name = {"name": {"S": "Ada"}}
            self.put_item(TableName="shop", Item={"pk": {"S": f"C#{c}"}, "sk": {"S": "PROFILE"}, **name})
            self.put_item(TableName="customers", Item={"id": {"S": f"c{c}"}, **name})
        for at in range(orders):
            by = {"by": {"S": f"{at % max(1, customers)}"}}
            self.put_item(TableName="shop", Item={"pk": {"S": f"O#{at}"}, "sk": {"S": f"ORDER#{at}"}, **by})
            self.put_item(TableName="orders", Item={"id": {"S": f"o{at}"}, **by})
        self.put_item(TableName="shop", Item={"pk": {"S": "SHOP"}, "sk": {"S": "HOURS"}})
        self.calls.clear()

    def describe_table(self, **given):
        found = super().describe_table(**given)["Table"]
        return {"Table": {**found, "TableSizeBytes": 500 * found["ItemCount"]}}


class Refusing(Shop):
    """Lets nobody scan."""

    def scan(self, **_):
        raise refusal("Scan", "AccessDeniedException", "not allowed")


@pytest.fixture
def costs(tmp_path, monkeypatch, capsys):
    views = tmp_path / "functions" / "derive" / "views.py"
    views.parent.mkdir(parents=True)
    (tmp_path / "template.yaml").write_text("")

    def run(declared, aws, *arguments, table="shop"):
        views.write_text(declared)
        monkeypatch.setattr(command, "clients", lambda endpoint, region: lambda service: aws)
        given = ["--project", str(tmp_path), "costs", table, "--function", "derive", *BY_HAND, *arguments]
        code = main([*given, "--json", "-"])
        out = capsys.readouterr()
        assert code == 0, out.err
        join = {each["part"]: each for each in json.loads(out.out)["parts"]}["named"]
        assert main(given) == 0
        printed = capsys.readouterr().out.splitlines()
        said = [join["assumed"]] if "assumed" in join else []
        assert [line.strip() for line in printed if "assumed" in line] == said
        return join["writes"], said

    return run


def test_both_sides_in_one_table_are_counted_among_the_items_that_are_read(costs):
    found, (said,) = costs(ONE_TABLE, Shop(5, 100))
    assert found == costs(ONE_TABLE, Shop(5, 100), "--rows", "named=20")[0]
    assert "a right item of 'named' has 20 rows" in said
    assert "100 left and 5 right items among 106 of shop" in said
    assert "--rows named=N" in said


def test_a_large_table_is_counted_by_a_thousand_of_its_items(costs):
    shop = Shop(300, 3000)
    _, (said,) = costs(ONE_TABLE, shop)
    assert "among 1,000 of shop" in said
    assert shop.calls["Scan"] == 20  # 10 for each of the two forms of the report
    many = float(said.partition(" has ")[2].partition(" rows")[0])
    assert many == pytest.approx(10, rel=0.3)


def test_right_items_too_rare_to_be_met_have_at_least_all_rows_that_are(costs):
    _, (said,) = costs(ONE_TABLE, Shop(0, 50))
    assert "has 50 rows" in said
    assert "no right item" in said


def test_two_tables_are_counted_by_what_they_hold(costs):
    for table in ("orders", "customers"):
        found, (said,) = costs(TWO_TABLES, Shop(5, 60), table=table)
        assert found == costs(TWO_TABLES, Shop(5, 60), "--rows", "named=12", table=table)[0]
        assert "has 12 rows: 60 items in orders, 5 in customers" in said


@pytest.mark.parametrize("aws", [Refusing(5, 100), Shop(0, 0)], ids=["refused", "none"])
def test_where_nothing_can_be_counted_one_row_is_assumed_and_that_is_said(costs, aws):
    found, (said,) = costs(ONE_TABLE, aws, "--items", "1000")
    assert found == costs(ONE_TABLE, aws, "--items", "1000", "--rows", "named=1")[0]
    assert "has 1 row:" in said


def test_a_missing_permission_is_named(costs):
    assert "dynamodb:Scan" in costs(ONE_TABLE, Refusing(5, 100))[1][0]


def test_figures_by_hand_ask_aws_for_nothing(costs):
    _, (said,) = costs(ONE_TABLE, None, "--items", "1000")
    assert "has 1 row:" in said
    assert "--rows named=N" in said


def test_what_the_user_gives_is_not_counted(costs):
    shop = Shop(5, 100)
    assert costs(ONE_TABLE, shop, "--rows", "named=3")[1] == []
    assert not shop.calls["Scan"]
