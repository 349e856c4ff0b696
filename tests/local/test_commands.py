"""What the commands say when something is amiss: one line, status 2."""

import pytest

from cli.main import main


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
    assert "nowhere" in fails(capsys, "attach", "nowhere", "derive")


def test_an_endpoint_where_nothing_listens_is_said(at_the_emulator, capsys, monkeypatch):
    monkeypatch.setattr("local.aws.ATTEMPTS", 1)
    assert "the table users" in fails(capsys, "attach", "users", "derive", "--endpoint-url", "http://127.0.0.1:9")


def test_an_unknown_function_is_said(at_the_emulator, capsys, table):
    assert "there is no function 'derivee'" in fails(capsys, "attach", table.name, "derivee")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("invoke", "derive", "-e", "no/such.json"), "no/such.json"),
        (("invoke", "derive", "-e", "Makefile"), "no JSON"),
        (("invoke", "derive", "-e", "events/insert.json", "--parameter", "x"), "KEY=VALUE"),
        (("invoke", "derive", "-e", "events/insert.json", "--declared", "x"), "FUNCTION=FOLDER"),
        (("invoke", "derive", "-e", "events/insert.json", "--declared", "derive=no/such"), "no/such has no file"),
        (("invoke", "derive", "-e", "events/insert.json", "--declared", "derivee=docs"), "no function 'derivee'"),
    ],
)
def test_a_bad_argument_is_said(capsys, arguments, says):
    assert says in fails(capsys, *arguments)


def test_a_port_that_is_taken_is_said(capsys, endpoints):
    taken = endpoints.aws.rsplit(":", 1)[1]
    assert f"port {taken}" in fails(capsys, "up", "--port", taken)
