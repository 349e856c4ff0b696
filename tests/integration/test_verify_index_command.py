"""`verify index` as a command: exit status, lines, JSON; on a table and an index of the embedded services."""

import json
import subprocess
import sys

import boto3
import pytest

from cli.main import main
from distributary.index.described import history
from distributary.index.opensearch.connect import connect
from distributary.index.opensearch.schema import apply
from distributary.index.opensearch.target import template
from indexes import INDEXES
from tests.contract.world import create_table
from tests.replaced import replace

(INDEX,) = INDEXES

AT = {"region_name": "eu-west-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}


@pytest.fixture
def table(emulators, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    dynamodb = boto3.client("dynamodb", endpoint_url=emulators.aws, **AT)
    create_table(dynamodb, "verified", {"user_id": "S"})
    apply(connect(emulators.opensearch, "none"), INDEX, 3, template(INDEX))
    dynamodb.put_item(TableName="verified", Item={"user_id": {"S": "u-1"}, "avatar": {"B": b"\x00\xff"}})
    yield dynamodb
    dynamodb.delete_table(TableName="verified")
    connect(emulators.opensearch, "none").indices.delete(index=INDEX.physical(3))


@pytest.fixture
def status(emulators):
    given = ["--endpoint-url", emulators.aws, "--region", "eu-west-1", "--endpoint", emulators.opensearch]
    given += ["--service", "none", "--pause", "0", "--generation", "3"]

    def status(*more, table="verified"):
        return main(["verify", "index", table, *given, *more])

    return status


def test_a_difference_is_1_a_repair_is_0_and_then_all_is_equal(table, status, capsys, tmp_path):
    assert status("--json", str(tmp_path / "report.json")) == 1
    report = json.loads((tmp_path / "report.json").read_text())
    assert (report["equal"], report["missing"]) == (False, [{"id": "u-1", "version": 0}])
    assert "missing   'u-1' at version 0" in capsys.readouterr().out
    assert status("--repair") == 0
    assert status() == 0
    assert "missing 0, dead 0, different 0" in capsys.readouterr().out


def test_a_repair_that_leaves_nothing_different_ends_the_rebuild_that_was_due(table, status, emulators):
    """As functions of two versions noted what they wrote under."""
    search = connect(emulators.opensearch, "none")
    for declared in (replace(INDEX, id="OLD#{user_id}"), INDEX):
        noted = history(search, [declared], 3)
        noted.due()
    assert status() == 1
    assert list(noted.due()) == [INDEX.name]
    assert status("--repair") == 0
    assert noted.due() == {}


@pytest.mark.parametrize(
    ("wrong", "mend"),
    [
        (["--generation", "8"], "distributary index apply"),
        (["--index", "nobody"], "indexes.py declares users"),
        (["--segments", "0", "--pause", "-1"], "--segments: give 1 to 64\n--pause"),
        (["--endpoint", ""], "--endpoint is missing"),
        (["--json", "/proc/nowhere/report"], "--json"),
    ],
)
def test_what_cannot_be_told_is_2_with_its_mend(table, status, capsys, wrong, mend):
    assert status(*wrong) == 2
    said = capsys.readouterr().err
    assert mend in said
    assert said.count("\n") == mend.count("\n") + 1


def test_no_such_table_is_2(table, status, capsys):
    assert status(table="nowhere") == 2
    assert "table nowhere: ResourceNotFoundException" in capsys.readouterr().err


def test_no_function_imports_it():
    code = "import sys, os; os.environ['AWS_DEFAULT_REGION'] = 'eu-west-1'; import app; print(sorted(sys.modules))"
    for function in ("derive", "index", "welcome", "replicate"):
        path = f"layers/distributary:functions/{function}"
        done = subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": path}, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        for module in ("distributary.verify", "distributary.index.reindex", "distributary.index.opensearch.target"):
            assert f"'{module}" not in done.stdout


def test_a_doctor_of_a_healthy_index_is_0_and_of_a_missing_one_1(table, emulators, capsys):
    given = ["index", "doctor", emulators.opensearch, "--service", "none"]
    assert main([*given, "--generation", "3"]) == 0
    assert "belongs to no stream yet" in capsys.readouterr().out
    assert main([*given, "--generation", "8", "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["status"] == 1
