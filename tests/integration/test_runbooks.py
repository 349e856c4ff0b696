"""docs/runbooks/: each page's commands, in their order, with the real functions on emulated services."""

import os
import time

import pytest

from local.emulators import embedded
from tests.docs.pages import DOCS, blocks
from tests.integration.runbook import KEY, OPEN, SALES, STREAM, Step, Town, enable_another_stream, views

ITEMS = 100
POISON = int(os.environ.get("RUNBOOK_POISON", "200"))
"""The page says 10,000, which take longer: docs/measurements.md."""


@pytest.fixture
def town(tmp_path, monkeypatch, capsys):
    with embedded() as endpoints:
        found = Town(endpoints, tmp_path, capsys, monkeypatch)
        try:
            yield found
        finally:
            found.close()


def test_a_first_attach_to_a_big_table_beside_a_hot_stream(town):
    town.dynamodb.create_table(TableName="orders", **KEY)
    town.declare(derive=views(OPEN, SALES))
    town.fill(ITEMS)

    def rest():
        town.rest()
        town.drain()

    hands = {
        "aws dynamodb update-table": lambda: (
            town.dynamodb.update_table(TableName="orders", **STREAM),
            town.write_on(),
        ),
        "aws dynamodb describe-table": lambda: None,
        "sam build": lambda: None,
        "sam deploy": lambda: town.deploy("derive"),
        "distributary verify derive": rest,
    }
    town.follow("first-attach", hands, {})


def test_a_new_view_a_new_index_and_a_new_replica(town):
    town.dynamodb.create_table(TableName="orders", **KEY, **STREAM)
    town.deploy("derive")
    town.fill(ITEMS)
    town.drain()
    town.declare(derive=views(OPEN, SALES))
    town.lost = {f"o{at:05}" for at in range(ITEMS - 10)}
    deployed = iter(["derive", "index", "replicate"])

    def deploy():
        town.deploy(next(deployed))
        town.drain()

    hands = {
        "sam build": lambda: None,
        "sam deploy": deploy,
        "distributary doctor": town.make_replica,
    }
    town.follow("new-view", hands, {"distributary views --diff --stack shop": 1})


def test_an_outage_of_30_hours(town):
    town.dynamodb.create_table(TableName="orders", **KEY, **STREAM)
    town.make_replica()
    town.declare(derive=views(OPEN, SALES))
    functions = ("derive", "index", "replicate")
    town.deploy(*functions)
    town.stack.apply_index()
    town.fill(ITEMS)
    town.put("spoilt", total="much")
    town.drain()
    for each in functions:
        town.detach(each)

    # What the stream no longer has when the functions run again.
    for at in range(10):
        town.put(f"o{at:05}", "paid", "70")
        town.delete(f"o{at + 10:05}")
        town.put(f"new{at}")
    town.put("spoilt", total="3")
    town.lost |= {"spoilt", *(f"o{at:05}" for at in range(20)), *(f"new{at}" for at in range(10))}

    # What it still has.
    for at in range(5):
        town.put(f"o{at + 50:05}", "paid", "80")
        town.delete(f"o{at + 60:05}")
        town.put(f"late{at}")

    def resume():
        for each in functions:
            town.attach(each)
        town.drain()

    hands = {"aws lambda list-event-source-mappings": lambda: None, "aws lambda update-event-source-mapping": resume}
    town.follow("outage", hands, {})


def test_from_the_stream_to_kinesis_and_back(town):
    """With the application at work all the while, and Kinesis in disorder; sums would show what is lost or doubled."""
    town.dynamodb.create_table(TableName="orders", **KEY, **STREAM)
    town.declare(derive=views(OPEN, SALES))
    town.deploy("derive")
    town.fill(ITEMS)
    town.write_on()
    sources = [town.source.stream_arn]

    def deploy():
        if len(sources) == 1:
            town.redeploy("orders-changes", "1", f"{sources[0]}=0")
        else:
            town.write_on()
            town.enabled = enable_another_stream(town.dynamodb, "orders")
            town.catch_up()
            town.redeploy("", "2", f"{sources[0]}=0,{sources[1]}=1")
        sources.append(town.source.stream_arn)

    def rest():
        town.rest()
        town.drain()

    hands = {
        "aws kinesis create-stream": town.make_data_stream,
        "aws dynamodb enable-kinesis-streaming-destination": town.write_into_data_stream,
        "aws dynamodb describe-kinesis-streaming-destination": town.catch_up,
        "sam deploy": deploy,
        "distributary verify derive": rest,
    }
    town.follow("kinesis", hands, {}, end="## The other functions")
    assert len(set(sources)) == 3
    tables = "--derived-table DERIVED --ledger-table LEDGER --tombstone-table TOMBSTONES"
    time.sleep(0.5)
    rest()
    town.run(Step(f"distributary verify derive orders --generation 2 {tables}", ""), 0)


def test_a_poison_storm(town):
    town.dynamodb.create_table(TableName="orders", **KEY, **STREAM)
    town.declare(derive=views(SALES))
    town.deploy("derive")
    town.fill(20)
    for at in range(POISON):
        town.put(f"p{at:05}", total=f" {at}", customer=f"c{at % 7}")
    town.drain(max(600, POISON))

    def deploy():
        (page,) = blocks(DOCS / "runbooks" / "poison-storm.md", "python")
        town.declare(derive=page)
        town.deploy("derive")

    diff = "distributary views --diff --stack shop"
    town.follow("poison-storm", {"sam deploy": deploy}, {diff: 1})
