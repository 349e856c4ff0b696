"""What the commands print: what was made, and one line, with status 2, for what is amiss."""

import io
import json
import re
import subprocess
import sys
import time
from pathlib import Path

import boto3
import pytest

from cli.main import main
from distributary.stream.codec import typed_json

ROOT = Path(__file__).parents[2]


@pytest.fixture
def at_the_emulator(monkeypatch, endpoints):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoints.aws)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


def fails(capsys, *arguments):
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


def test_a_table_without_a_stream_is_told_how_to_get_one(at_the_emulator, capsys, aws):
    aws.client("dynamodb").create_table(
        TableName="still",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    said = fails(capsys, "attach", "still", "derive")
    assert "aws dynamodb update-table" in said
    assert "StreamViewType=NEW_AND_OLD_IMAGES" in said
    assert aws.client("dynamodb").describe_table(TableName="still")["Table"].get("StreamSpecification") is None


def test_a_table_that_is_not_there_is_said(at_the_emulator, capsys):
    said = fails(capsys, "attach", "nowhere", "derive")
    assert said.startswith("the table nowhere: ResourceNotFoundException")
    assert said.endswith("; correct its name, --region or --endpoint-url\n")


@pytest.mark.parametrize(
    "command",
    [
        ("attach", "users", "derive"),
        ("event", "users", "--key", "id=a"),
        ("verify", "index", "users", "--endpoint", "http://127.0.0.1:9", "--service", "none"),
        ("doctor", "users", "--replica-table", "r", "--replica-region", "eu-west-1"),
    ],
)
def test_a_port_where_nothing_listens_is_said_at_once(at_the_emulator, capsys, command):
    began = time.monotonic()
    said = fails(capsys, *command, "--endpoint-url", "http://127.0.0.1:9")
    assert said == "nothing answers at http://127.0.0.1:9: start `distributary up`, or correct the address\n"
    assert time.monotonic() - began < 5


def test_a_host_that_is_not_there_is_said(at_the_emulator, capsys):
    said = fails(capsys, "attach", "users", "derive", "--endpoint-url", "http://nowhere.invalid:8000")
    assert said.startswith("the table users: nothing answers at http://nowhere.invalid:8000: start what should listen")


def test_an_unknown_function_is_said_before_the_table_is_looked_at(at_the_emulator, capsys):
    said = fails(capsys, "attach", "nowhere", "derive", "derivee")
    assert said == "there is no function 'derivee': name one or several of derive, index, welcome, replicate, archive\n"


@pytest.mark.parametrize("command", [("attach", "users", "derive"), ("event", "users", "--key", "id=a")])
def test_without_a_region_the_command_that_gives_one_is_named(capsys, monkeypatch, tmp_path, command):
    for name in ("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    said = fails(capsys, *command)
    assert said.startswith("no region: give --region, or set AWS_REGION; for a table on this machine, set what")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("invoke", "derive", "-e", "no/such.json"), "no/such.json"),
        (("invoke", "derive", "-e", "Makefile"), "no JSON"),
        (("invoke", "derive", "-e", "events/insert.json", "--parameter", "x"), "KEY=VALUE"),
        (
            ("doctor",),
            "give TABLE, the source of a replica; --derive or --index for what these functions keep; or --stack",
        ),
        (("doctor", "users", "--stack", "shop"), "are for --derive and --index: give one of them"),
        (("doctor", "--derive", "--endpoint-url", ""), "give --stack NAME"),
        (("doctor", "--index", "--endpoint-url", ""), "give --stack NAME"),
        (("doctor", "--derive"), "give --stack NAME; for functions on this machine give TABLE, their source"),
        (("parked", "list", "--stack", "shop", "--since", "-1"), "Invalid value for '--since'"),
        (("doctor", "--index", "--derive", "--stack", "shop"), "--derive and --index exclude each other"),
        (("invoke", "derive", "-e", "events/insert.json", "--declared", "x"), "FUNCTION=FOLDER"),
        (
            ("invoke", "derive", "-e", "events/insert.json", "--declared", "derive=no/such"),
            "no folder no/such",
        ),
        (("invoke", "derive", "-e", "events/insert.json", "--declared", "derive=docs"), "docs has no file"),
        (("invoke", "derive", "-e", "events/insert.json", "--declared", "derivee=docs"), "no function 'derivee'"),
    ],
)
def test_a_bad_argument_is_said(capsys, arguments, says):
    assert says in fails(capsys, *arguments)


@pytest.mark.parametrize("event", ["{}", "[]", "null", '{"Records": {}}', '"x"', "7"])
def test_what_is_no_stream_event_is_said_before_the_function_runs(capsys, tmp_path, event):
    (file := tmp_path / "event.json").write_text(event)
    said = fails(capsys, "invoke", "derive", "-e", str(file))
    assert said == f"{file}: it has no list 'Records': give a stream event, as `distributary event` prints one\n"


def test_a_port_that_is_taken_is_said(capsys, endpoints):
    taken = endpoints.aws.rsplit(":", 1)[1]
    assert f"port {taken}" in fails(capsys, "up", "--port", taken)


def invoked(capsys, *arguments):
    """What `invoke` answered, and what it said."""
    assert main(["invoke", *arguments]) == 0
    said = capsys.readouterr()
    return json.loads(said.out), said.err.splitlines()


@pytest.mark.slow
def test_invoke_says_outcomes_causes_and_the_rows_that_were_made(capsys):
    answer, said = invoked(capsys, "derive", "-e", "events/poison-record.json")
    assert answer == {"batchItemFailures": []}
    assert re.fullmatch(r"derive: parked: event \w+: the record has no Keys", said[0])
    assert said[1] == "derive: 3 received, 2 applied, 1 parked"
    assert 'derive: row ACTIVE / USER#u-1005: {"name": "Ada Lovelace"}' in said[2:]


@pytest.mark.slow
def test_invoke_says_which_documents_were_made(capsys):
    _, said = invoked(capsys, "index", "-e", "events/insert.json")
    assert said[-1].startswith('index: document users/u-1001: {"balance": "120.5", ')


@pytest.mark.slow
def test_invoke_says_which_rows_of_a_replica_were_made(capsys):
    _, said = invoked(capsys, "replicate", "-e", "events/insert.json")
    assert said[-1].startswith("replicate: row u-1001: ")


@pytest.mark.slow
def test_invoke_says_why_nothing_was_sent(capsys):
    _, said = invoked(capsys, "welcome", "-e", "events/insert.json")
    assert said[0].startswith("welcome: ignored: 1 change: older than its rule allows")
    assert said[1:] == ["welcome: 1 received, 1 ignored"]


@pytest.mark.slow
def test_the_mail_that_invoke_sent_is_in_the_file_that_it_names(capsys, monkeypatch):
    event = json.loads(Path("events/insert.json").read_text())
    event["Records"][0]["dynamodb"]["ApproximateCreationDateTime"] = time.time()
    monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(event)))
    _, said = invoked(capsys, "welcome", "-e", "-")
    sent = re.fullmatch(r"welcome: message welcome\|users\|user_id=S:u-1001: sent, (\S+)", said[-1])
    assert Path(sent[1]).read_text().startswith("To: ada@example.com\nSubject: Welcome, Ada Lovelace\n\nHello")


@pytest.mark.parametrize(("given", "fault"), [("", "empty"), ("\n", "empty"), ("{", "no JSON"), ("no", "no JSON")])
def test_standard_input_that_is_no_event_is_said(capsys, monkeypatch, given, fault):
    monkeypatch.setattr("sys.stdin", io.StringIO(given))
    assert f"standard input is {fault}" in fails(capsys, "invoke", "derive", "-e", "-")


ITEM = {"id": {"S": "a"}, "email": {"S": "ada@example.com"}, "visits": {"N": "1"}, "avatar": {"B": b"\x00\xff"}}


def made(capsys, table, *more):
    """The record that `event` makes from an item of an embedded table."""
    assert main(["event", table.name, "--key", "id=a", *more]) == 0
    (record,) = json.loads(capsys.readouterr().out)["Records"]
    return record


def test_event_makes_an_insert_from_an_item_of_the_table(at_the_emulator, capsys, table):
    table.client.put_item(TableName=table.name, Item=ITEM)
    record = made(capsys, table)
    assert (record["eventName"], record["eventSourceARN"]) == ("INSERT", table.arn)
    assert record["dynamodb"]["Keys"] == {"id": {"S": "a"}}
    assert record["dynamodb"]["NewImage"] == typed_json(ITEM)


def test_event_changes_what_set_says_and_never_the_table(at_the_emulator, capsys, table):
    table.client.put_item(TableName=table.name, Item=ITEM)
    record = made(capsys, table, "--kind", "modify", "--set", "visits=2")
    assert record["dynamodb"]["NewImage"] == typed_json({**ITEM, "visits": {"N": "2"}})
    assert record["dynamodb"]["OldImage"] == typed_json(ITEM)
    assert table.client.get_item(TableName=table.name, Key={"id": {"S": "a"}})["Item"]["visits"] == {"N": "1"}


@pytest.mark.parametrize(
    ("key", "says"),
    [("id=b", "has no item with the key id=b: correct --key"), ("name=a", "give --key id=VALUE")],
)
def test_event_says_what_is_wrong_with_a_key(at_the_emulator, capsys, table, key, says):
    assert says in fails(capsys, "event", table.name, "--key", key)


def test_event_of_a_table_that_is_not_there_is_said(at_the_emulator, capsys):
    assert "the table nowhere: ResourceNotFoundException" in fails(capsys, "event", "nowhere", "--key", "id=a")


def test_up_names_the_outbox_where_its_mail_is_written(tmp_path):
    command = [sys.executable, "-m", "cli", "--project", str(tmp_path), "up"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as running:
        try:
            said = [running.stdout.readline() for _ in range(9)]
            (folder,) = re.findall(r"^Mail that is sent there is written to (\S+)/\.", "".join(said), re.MULTILINE)
            exported = dict(re.findall(r"^export (\w+)=(\S+)", "".join(said), re.MULTILINE))
            boto3.client(
                "sesv2",
                region_name=exported["AWS_REGION"],
                endpoint_url=exported["AWS_ENDPOINT_URL"],
                aws_access_key_id="test",
                aws_secret_access_key="test",
            ).send_email(
                FromEmailAddress="a@example.com",
                Destination={"ToAddresses": ["up@example.com"]},
                Content={"Simple": {"Subject": {"Data": "Hi"}, "Body": {"Text": {"Data": "Hello"}}}},
            )
            (file,) = Path(folder).glob("*up@example.com*.txt")
            assert file.read_text() == "To: up@example.com\nSubject: Hi\n\nHello"
            file.unlink()
        finally:
            running.terminate()
