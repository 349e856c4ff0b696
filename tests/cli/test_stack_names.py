"""`--stack`, the region and what AWS says of a name: what every command for a deployed stack begins with."""

from types import SimpleNamespace

import pytest

from cli.main import main
from cli.stack import Stack, clients
from distributary.errors import ConfigError

COMMANDS = [
    ("status",),
    ("doctor",),
    ("doctor", "--derive"),
    ("doctor", "--index"),
    ("trace", "abc"),
    ("console",),
    ("views", "--diff"),
    ("backfill", "users", "--function", "derive"),
    ("rebuild", "derive"),
    ("retire", "sales"),
    ("replay", "users", "--function", "welcome", "--archive", "s3://b", "--from", "2026-11-01", "--to", "2026-11-02"),
    ("parked", "list"),
    ("parked", "redrive"),
    ("pause", "derive"),
    ("resume", "derive"),
    ("deferred",),
    ("erase", "users", "--key", '{"user_id": {"S": "u"}}'),
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_an_empty_name_of_a_stack_is_a_fault_and_asks_aws_for_nothing(command, capsys, monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert main([*command, "--stack", ""]) == 2
    assert "--stack: the name is empty" in capsys.readouterr().err


def test_a_stack_whose_first_deployment_failed_is_named_with_its_state():
    told = SimpleNamespace(describe_stacks=lambda **_: {"Stacks": [{"StackStatus": "ROLLBACK_COMPLETE"}]})
    with pytest.raises(ConfigError, match="ROLLBACK_COMPLETE"):
        Stack.find("shop", lambda service: told)


def test_the_region_is_also_that_of_aws_region(monkeypatch):
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    assert clients(None, None)("dynamodb").meta.region_name == "eu-central-1"
    assert clients(None, "eu-west-1")("dynamodb").meta.region_name == "eu-west-1"
