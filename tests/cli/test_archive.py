"""The archive's commands: an export of a window, an item at a moment, and what is said of wrong input."""

import json
from types import SimpleNamespace

import pytest
from botocore.exceptions import NoCredentialsError

from cli.main import main
from distributary.readers import incremental_export
from tests.fakes.streaming import CREATED
from tests.unit.archives import bucket
from tests.unit.records import change

FROM, TO = "2026-11-22T10:00:00Z", "2026-11-22T11:00:00+00:00"
KEY = '{"user_id": {"S": "u-1"}}'


@pytest.fixture
def archive(tmp_path):
    changes = [
        change(0, "INSERT", new={"visits": {"N": "1"}}),
        change(1, "MODIFY", old={"visits": {"N": "1"}}, new={"visits": {"N": "2"}}),
        change(2, "REMOVE", old={"visits": {"N": "2"}}),
        change(3, "INSERT", user="u-2", new={"visits": {"N": "1"}}),
    ]
    timed = [each._replace(created=CREATED + 60.0 * place) for place, each in enumerate(changes)]
    for name, body in bucket([timed[:2], timed[2:]]).state.items():
        path = tmp_path / "archive" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    return tmp_path / "archive"


def options(archive, *more):
    return ["--archive", str(archive), "--table", "users", *more]


def test_a_window_becomes_an_export_and_the_command_says_where(archive, tmp_path, capsys):
    to = tmp_path / "exports"
    assert main(["archive", "compact", *options(archive, "--output", str(to), "--from", FROM, "--to", TO)]) == 0
    said = capsys.readouterr().out.strip()
    assert said.startswith(f"4 changes in 2 objects: net changes of 1 items; the export is in {to}/AWSDynamoDB/")
    (found,) = incremental_export.changes(said.rpartition(" ")[2], lambda: None, ("user_id",))
    assert (found.old, found.new) == (None, {"user_id": {"S": "u-2"}, "visits": {"N": "1"}})


def test_a_dry_run_writes_nothing(archive, tmp_path, capsys):
    to = tmp_path / "exports"
    given = options(archive, "--output", str(to), "--from", FROM, "--to", TO, "--dry-run", "--json", "-")
    assert main(["archive", "compact", *given]) == 0
    assert json.loads(capsys.readouterr().out) == {"objects": 2}
    assert not to.exists()


@pytest.mark.parametrize(
    ("time", "first", "status"),
    [
        ("2026-11-22T10:00:30", '{"user_id": {"S": "u-1"}, "visits": {"N": "1"}}', 0),
        ("2026-11-22T11:01:00+01:00", '{"user_id": {"S": "u-1"}, "visits": {"N": "2"}}', 0),
        ("2026-11-22T10:02:00Z", "it did not exist", 0),
    ],
)
def test_an_item_is_printed_as_it_was_with_its_life(archive, capsys, time, first, status):
    assert main(["archive", "at", time, *options(archive, "--key", KEY)]) == status
    assert capsys.readouterr().out.splitlines() == [
        first,
        "2026-11-22T10:00:00Z  INSERT  user_id, visits",
        "2026-11-22T10:01:00Z  MODIFY  visits",
        "2026-11-22T10:02:00Z  REMOVE  user_id, visits",
    ]


def test_an_item_that_the_archive_never_saw_is_status_1(archive, capsys):
    assert main(["archive", "at", FROM, *options(archive, "--key", '{"user_id": {"S": "x"}}', "--json", "-")]) == 1
    assert json.loads(capsys.readouterr().out) == {"state": "unknown", "item": None, "changes": []}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (["--from", "yesterday", "--to", TO, "--output", "x"], "--from yesterday: give a time such as"),
        (["--from", "1960-01-01", "--to", TO, "--output", "x"], "--from 1960-01-01: give a time after 1970"),
        (["--from", TO, "--to", FROM, "--output", "x"], "the window ends at 2026-11-22T10:00:00Z, which is not after"),
        (["--from", FROM, "--to", "9999-01-01", "--output", "x"], "which is yet to come"),
        (["--from", FROM, "--to", TO, "--output", __file__], "this is a file; give a folder"),
        (["--from", FROM, "--to", TO, "--output", "x", "--temporary", "/nowhere"], "there is no such folder"),
        (["--from", FROM, "--to", TO, "--output", "x", "--table", "other"], "there is no archive of other"),
    ],
)
def test_a_wrong_window_or_place_is_one_line_and_status_2(archive, tmp_path, monkeypatch, capsys, given, says):
    monkeypatch.chdir(tmp_path)
    assert main(["archive", "compact", *options(archive, *given)]) == 2
    assert says in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_without_credentials_a_bucket_is_not_said_to_be_wrong(monkeypatch, capsys):
    def refuse(**_):
        raise NoCredentialsError

    monkeypatch.setattr("cli.archive._client", lambda *_: SimpleNamespace(list_objects_v2=refuse))
    assert main(["archive", "at", FROM, "--archive", "s3://kept", "--table", "users", "--key", KEY]) == 2
    said = capsys.readouterr().err
    assert "no AWS credentials: set AWS_PROFILE" in said
    assert "correct the address" not in said


def test_a_bucket_without_its_scheme_is_told_how_to_write_it(capsys):
    assert main(["archive", "at", FROM, "--archive", "kept", "--table", "users", "--key", KEY]) == 2
    assert capsys.readouterr().err == "kept: there is no such folder; write a bucket as s3://BUCKET\n"


@pytest.mark.parametrize("key", ["u-1", "[]", "{}", '{"a": "b"}', '{"a": {"L": []}}', '{"a": {"N": "x"}}', "[" * 9999])
def test_a_key_that_is_none_is_one_line_and_status_2(archive, capsys, key):
    assert main(["archive", "at", FROM, *options(archive, "--key", key)]) == 2
    assert capsys.readouterr().err.startswith("--key: give the key's attributes in DynamoDB JSON")


def test_a_damaged_object_is_named_and_status_2(archive, tmp_path, capsys):
    path = sorted(archive.rglob("*.json.gz"))[0]
    path.write_bytes(path.read_bytes()[:-4])
    given = options(archive, "--output", str(tmp_path / "x"), "--from", FROM, "--to", TO)
    assert main(["archive", "compact", *given]) == 2
    assert f"{path}:3: the file is damaged" in capsys.readouterr().err


def test_a_moment_before_the_archive_is_refused(archive, capsys):
    """An item may have been there and gone before its first change that the archive holds."""
    assert main(["archive", "at", "2026-11-22T09:59:59Z", *options(archive, "--key", KEY)]) == 2
    assert "the archive of users begins at 2026-11-22T10:00:00Z: begin there or later" in capsys.readouterr().err
