"""Commands whose credentials lack a permission: one line says which, and the run goes on once it is granted."""

import pytest
from botocore.exceptions import ClientError

from cli.main import main
from tests.fakes.waiting import without_waiting
from tests.integration.town import Town


@pytest.fixture
def town(monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Distributary")
    without_waiting(monkeypatch)
    found = Town()
    monkeypatch.setattr("cli.target.clients", lambda *_: found.clients)
    return found


def refusing(calls, call):
    """Notes each call, and refuses it as AWS does."""
    operation = "".join(word.title() for word in call.split("_"))

    def refused(**arguments):
        calls.append(arguments)
        fault = {"Code": "AccessDeniedException", "Message": "User: me is not authorized to perform this"}
        raise ClientError({"Error": fault}, operation)

    return refused


@pytest.mark.parametrize(
    ("service", "call", "says"),
    [
        ("cloudformation", "describe_stacks", "calling the DescribeStacks operation: User: me is not authorized"),
        ("lambda", "get_function_configuration", "calling the GetFunctionConfiguration operation: User: me is not"),
        ("lambda", "invoke", "calling the Invoke operation: User: me is not authorized"),
        ("dynamodb", "describe_table", "table orders: AccessDeniedException; correct its name, --region or"),
        ("dynamodb", "scan", "scan: AccessDeniedException; grant the function's role this action (a command: your"),
    ],
)
def test_a_missing_permission_is_one_line_and_the_run_goes_on(town, tmp_path, capsys, monkeypatch, service, call, says):
    backfill = [
        "backfill",
        "orders",
        "--function",
        "derive",
        "--stack",
        "shop",
        "--state",
        str(tmp_path / "state.json"),
    ]
    calls = []
    with monkeypatch.context() as without:
        without.setattr(town.clients(service), call, refusing(calls, call))
        assert main(backfill) == 2
    assert calls
    *_, last = capsys.readouterr().err.splitlines()
    assert says in last
    assert main(backfill) == 0
    assert town.rows() == (20, 40)


@pytest.mark.parametrize("given", ["s3://parking", "parking/parked", "arn:aws:s3:::parking"])
@pytest.mark.parametrize(
    "command", [["verify", "derive", "orders"], ["erase", "orders", "--key", '{"id": {"S": "o1"}}']], ids=lambda c: c[0]
)
def test_a_bucket_that_is_no_name_is_refused(capsys, command, given):
    assert main([*command, "--parking", given]) == 2
    assert f"--parking {given}: give the bucket's name alone" in capsys.readouterr().err
