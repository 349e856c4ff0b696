"""docs/runbooks/: each page's commands, in their order, with the real functions on emulated services."""

import pytest

from local.emulators import embedded
from tests.integration.runbook import KEY, OPEN, SALES, STREAM, Town, indexes, replica, views

MORE = {"verify": ["--pause", "0"], "verify index": ["--service", "none"], "index apply": ["--service", "none"]}


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
    town.fill(300)

    def quiet():
        writing.__exit__(None, None, None)
        town.drain()

    writing = town.writing()
    hands = {
        "aws dynamodb update-table": lambda: (
            town.dynamodb.update_table(TableName="orders", **STREAM),
            writing.__enter__(),
        ),
        "aws dynamodb describe-table": lambda: None,
        "sam build": lambda: None,
        "sam deploy": lambda: town.deploy("derive"),
        "distributary verify derive": quiet,
    }
    town.follow("first-attach", hands, {}, MORE)


def test_a_new_view_a_new_index_and_a_new_replica(town):
    town.dynamodb.create_table(TableName="orders", **KEY, **STREAM)
    town.deploy("derive")
    town.fill(300)
    town.drain()
    town.declare(derive=views(OPEN, SALES), index=indexes(), replicate=replica())
    deployed = iter(["derive", "index", "replicate"])

    def deploy():
        town.deploy(next(deployed))
        town.drain()

    hands = {
        "sam build": lambda: None,
        "sam deploy": deploy,
        "distributary doctor": lambda: town.dynamodb.create_table(TableName="orders-replica", **KEY),
    }
    town.follow("new-view", hands, {"distributary views --diff --stack shop": 1}, MORE)
