"""examples/shop as ElectroDB writes it: all that is downstream is right."""

import importlib.util
import json
from pathlib import Path

import pytest

from distributary.stream.dynamodb_stream import decode
from distributary.welcome import check
from examples.shop.writer import TABLES
from local import examples
from tests.local.conftest import run_example

ROOT = Path(__file__).parents[2]
HERE = ROOT / "examples/shop"
KINDS = {"BOUGHT", "BUYER", "CATEGORY", "CITY", "COUNTRY", "CUSTOMER", "MONTH", "PRODUCT", "STAFF", "TIER"}


@pytest.mark.node
def test_all_that_is_downstream_of_the_shop_is_right(endpoints, aws):
    result, _ = run_example(examples.named("shop"), endpoints, 200)
    client = aws.client("dynamodb")
    names = [each["TableName"] for each in TABLES]
    items = {name: client.scan(TableName=name)["Items"] for name in names}
    for name in names:
        client.delete_table(TableName=name)
    assert result.wrong == []
    assert {name.split("#")[0] for name in result.made.rows} == KINDS
    assert {status["status"] for status in result.made.documents.values()} > {"paid"}
    assert len(result.made.replicated) == len(items["orders"]) > 0
    assert all(name.startswith("order-paid ") for name in result.made.messages)
    marks = {name: {item["__edb_e__"]["S"] for item in items[name]} for name in names}
    assert marks == {"orders": {"order"}, "customers": {"customer"}, "products": {"product"}}


def test_the_sample_event_of_a_payment_is_one_message():
    spec = importlib.util.spec_from_file_location("shop_rules", HERE / "welcome/rules.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    (rule,) = check(module.RULES)
    records = json.loads((HERE / "events/placed_and_paid.json").read_text())["Records"]
    found = [rule.on.item(decode(record, lambda _: 0)) for record in records]
    assert [None if item is None else item["customer"] for item in found] == [None, "c-0"]
