"""`distributary index reindex` from plan to rollback, on a table and an index of the embedded services."""

import json
from pathlib import Path

import boto3
import pytest

from cli.main import main
from distributary.index.opensearch.connect import connect
from distributary.index.opensearch.schema import apply
from distributary.index.opensearch.target import template
from indexes import INDEXES
from tests.contract.world import create_table

(INDEX,) = INDEXES

ROOT = Path(__file__).resolve().parents[2]
AT = {"region_name": "eu-west-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}


@pytest.fixture
def search(emulators, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    dynamodb = boto3.client("dynamodb", endpoint_url=emulators.aws, **AT)
    create_table(dynamodb, "reindexed", {"user_id": "S"})
    for user in range(30):
        dynamodb.put_item(TableName="reindexed", Item={"user_id": {"S": f"u-{user}"}, "avatar": {"B": b"\x00\xff"}})
    client = connect(emulators.opensearch, "none")
    apply(client, INDEX, 0, template(INDEX))
    yield client
    dynamodb.delete_table(TableName="reindexed")
    for generation in (0, 1):
        client.indices.delete(index=INDEX.physical(generation), params={"ignore_unavailable": "true"})


@pytest.fixture
def run(search, emulators, capsys):
    given = ["reindexed", "--endpoint-url", emulators.aws, "--region", "eu-west-1", "--endpoint", emulators.opensearch]
    given += ["--service", "none"]

    def run(step, *more):
        pause = ["--pause", "0"] if step == "compare" else []
        status = main(["index", "reindex", step, *given, *pause, *more])
        said = capsys.readouterr()
        return status, said.out + said.err

    return run


def test_from_plan_to_rollback(run, search, tmp_path):
    assert run("plan") == (0, "readers: users-g0\nnext generation: users-g1, not begun\nrun: start\n")
    status, said = run("start")
    assert (status, "Generation=0 and AlsoGeneration=1" in said) == (2, True)
    status, said = run("start", "--writing-both")
    assert (status, "filled, Applied 30. run: compare" in said) == (0, True)
    status, said = run("compare", "--json", str(tmp_path / "report.json"))
    assert (status, "missing 0, dead 0, different 0" in said, said.endswith("run: swap\n")) == (0, True, True)
    assert json.loads((tmp_path / "report.json").read_text())["counts"]["documents"] == 30
    assert run("swap", "--writing-both") == (0, "readers moved from users-g0 to users-g1\n")
    assert search.count(index="users")["count"] == 30
    assert "run: rollback" in run("plan")[1]
    assert run("swap", "--writing-both") == (0, "readers are on users-g1 already\n")
    assert run("rollback", "--writing-both") == (0, "readers moved from users-g1 to users-g0\n")
    assert run("rollback", "--writing-both") == (0, "readers are on users-g0 already\n")


def test_differences_are_1_and_repaired_0(run, search, emulators):
    run("start", "--writing-both")
    boto3.client("dynamodb", endpoint_url=emulators.aws, **AT).delete_item(
        TableName="reindexed", Key={"user_id": {"S": "u-0"}}
    )
    status, said = run("compare")
    assert (status, "dead      'u-0'" in said, said.endswith("run: compare --repair, or swap --differences 1\n")) == (
        1,
        True,
        True,
    )
    assert run("compare", "--repair")[0] == 0
    assert run("swap", "--writing-both")[0] == 0


def test_what_is_wrong_is_one_line_and_2(run):
    for more, mend in (
        (["--function", "nobody"], "--function nobody"),
        (["--endpoint", ""], "--endpoint is missing"),
        (["--to", "0"], "readers are on generation 0"),
    ):
        status, said = run("start", *more)
        assert (status, mend in said) == (2, True), said


def test_an_unknown_step_is_one_line(capsys):
    assert main(["index", "reindex", "swop"]) == 2
    said = capsys.readouterr().err
    assert "No such command 'swop'" in said
    assert said.count("\n") == 1
