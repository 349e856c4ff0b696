"""`--on-aws` of `backfill`, `rebuild` and `parked redrive`: the state machine on the emulator, beside writes."""

import json
import os
import threading
import time

import pytest

from cli.feed import on_aws
from cli.main import main
from distributary.feed import redriven
from local.emulators import embedded
from tests.fakes.exports import FULL, written
from tests.integration.fed import BRANCHES, REGION, TABLE, Fed, user

USERS = 500
MANY = int(os.environ.get("FEED_ITEMS", "1500"))
"""Later tests of the module find them in the table."""

FEW = 10_000
"""Of more, the emulator takes too long to deliver what filled the table: as if the stream had been enabled after it."""


@pytest.fixture(scope="module")
def fed(tmp_path_factory):
    with embedded(ready_seconds=120) as endpoints, pytest.MonkeyPatch.context() as patch:
        given = {"ACCESS_KEY_ID": "test", "SECRET_ACCESS_KEY": "test", "REGION": REGION, "ENDPOINT_URL": endpoints.aws}
        for name, value in {**given, "DEFAULT_REGION": REGION}.items():
            patch.setenv(f"AWS_{name}", value)
        patch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Distributary")
        patch.setenv("POWERTOOLS_LOG_LEVEL", "CRITICAL")  # a log's stream is that of the test in which it was made
        made = Fed(endpoints, tmp_path_factory.mktemp("fed"))
        yield made
        made.close()


@pytest.fixture(autouse=True)
def often(monkeypatch):
    monkeypatch.setattr(on_aws, "POLL_SECONDS", 0.2)


@pytest.fixture(autouse=True)
def alive(fed):
    """Functions answer again after a test in which they died, whatever became of it."""
    yield
    fed.dead.clear()


@pytest.fixture
def run(fed):
    """The command; its report, and its exit status."""

    def run(function, name, *more, table=TABLE):
        where = ["--endpoint-url", fed.endpoints.aws, "--region", REGION, "--stack", "shop"]
        given = ["--on-aws", "--run", name, "--rate", "1000000", *more]
        return main(["backfill", table, "--function", function, *where, *given])

    return run


def report(path):
    return json.loads(path.read_text())


@pytest.fixture
def verified(fed):
    """Whether what a function keeps equals the table; what is under way is looked at again."""

    def verified(function):
        at = ["--endpoint-url", fed.endpoints.aws, "--region", REGION, "--pause", "3"]
        if function == "index":
            return (
                main(["verify", "index", TABLE, *at, "--endpoint", fed.endpoints.opensearch, "--service", "none"]) == 0
            )
        kept = fed.environment["derive"]
        tables = [("--derived-table", "DERIVED_TABLE"), ("--ledger-table", "LEDGER_TABLE")]
        tables += [("--tombstone-table", "TOMBSTONE_TABLE")]
        named = [part for option, name in tables for part in (option, kept[name])]
        return main(["--project", str(fed.derived), "verify", "derive", TABLE, *at, *named]) == 0

    return verified


@pytest.fixture
def users(fed):
    fed.fill(range(USERS))
    fed.invoked.clear()
    fed.refusing.clear()
    fed.pages = 1


@pytest.mark.parametrize(
    ("many", "segments", "pages"), [(USERS, 3, 0), pytest.param(MANY, 8, MANY // 4000, marks=pytest.mark.slow)]
)
@pytest.mark.parametrize("more", [["--first-fill"], []], ids=["first fill", "reconcile"])
@pytest.mark.parametrize("function", BRANCHES)
def test_all_parts_are_given_beside_writes(fed, run, verified, users, tmp_path, function, more, many, segments, pages):
    fed.fill(range(USERS, many))
    fed.pages = pages
    mapping = fed.attach(function, from_now=many > FEW)
    stopping, written_ = threading.Event(), []
    writer = threading.Thread(target=lambda: written_.append(fed.write(stopping, many)))
    writer.start()
    try:
        status = run(
            function,
            f"all-{len(more)}-{many}",
            "--segments",
            str(segments),
            *more,
            "--json",
            str(tmp_path / "report.json"),
        )
    finally:
        stopping.set()
        writer.join()
    found = report(tmp_path / "report.json")
    assert (status, found["left"], found["failed_parts"]) == (0, 0, [])
    assert found["items"] >= many * 0.8
    assert written_[0] > 0
    since = time.monotonic()
    while not mapping.drained(since, quiet_seconds=0.5):
        time.sleep(0.1)
    mapping.stop()
    assert verified(function)
    parts = [event["part"]["number"] for name, event in fed.invoked if name == "feed" and "part" in event]
    assert len(parts) > len(set(parts)) == segments or more


def test_a_run_that_was_killed_goes_on_where_it_was(fed, run, verified, users, tmp_path, capsys):
    """The execution is stopped, and no function answers any more, when half of the items have been reconciled."""
    options = ("--segments", "8", "--concurrency", "1", "--json", str(tmp_path / "report.json"))
    items = len(fed.items())

    def kill():
        while fed.reconciled() < items / 2:
            time.sleep(0.02)
        (running,) = fed.states.list_executions(stateMachineArn=fed.machine, statusFilter="RUNNING")["executions"]
        fed.states.stop_execution(executionArn=running["executionArn"])
        fed.dead.set()

    killer = threading.Thread(target=kill)
    killer.start()
    assert run("derive", "killed", *options) == 2
    killer.join()
    assert "it was stopped; then run this again: it goes on" in capsys.readouterr().err
    assert fed.reconciled() < items
    fed.dead.clear()
    assert run("derive", "killed", *options) == 0
    assert "goes on" in capsys.readouterr().err
    found = report(tmp_path / "report.json")
    assert (found["items"], found["left"]) == (items, 0)
    assert fed.reconciled() < items * 1.5
    assert verified("derive")


def test_a_run_that_has_succeeded_is_not_run_again(fed, run, users, capsys):
    assert run("derive", "once", "--segments", "2") == 0
    fed.invoked.clear()
    assert run("derive", "once", "--segments", "2") == 0
    assert "has succeeded before" in capsys.readouterr().err
    assert [event for _, event in fed.invoked if "declarations" not in event["distributary"]] == []


def test_a_part_that_keeps_failing_ends_the_run_and_says_why(fed, run, users, capsys, tmp_path):
    options = ("--segments", "3", "--json", str(tmp_path / "report.json"))
    fed.refusing.add("derive")
    assert run("derive", "refused", *options) == 2
    assert "Unavailable: derive: Unavailable: the table is throttled; correct that" in capsys.readouterr().err
    fed.refusing.clear()
    assert run("derive", "refused", *options) == 0
    assert report(tmp_path / "report.json")["items"] == len(fed.items())


def test_parts_that_may_fail_are_given_again_alone(fed, run, users, capsys, tmp_path):
    options = ("--segments", "4", "--tolerate", "100", "--json", str(tmp_path / "report.json"))
    fed.refusing.add("derive")
    assert run("derive", "tolerated", *options) == 1
    found = report(tmp_path / "report.json")
    assert (found["failed_parts"], found["items"]) == ([0, 1, 2, 3], 0)
    assert "4 parts failed: Unavailable: derive: Unavailable: the table is throttled; run" in capsys.readouterr().out
    fed.refusing.clear()
    assert run("derive", "tolerated", *options) == 0
    found = report(tmp_path / "report.json")
    assert (found["failed_parts"], found["items"]) == ([], len(fed.items()))


def test_what_is_wrong_with_a_run_is_not_tried_again(fed, run, users, capsys):
    assert run("derive", "nobody", "--view", "nobody") == 2
    assert "nothing is called 'nobody' here: this function keeps by-status, profile" in capsys.readouterr().err
    asked = [event for name, event in fed.invoked if name == "derive"]
    assert len([event for event in asked if "declarations" not in event["distributary"]]) <= 4


def test_a_table_is_exported_first_and_its_files_are_the_parts(fed, run, users, tmp_path, monkeypatch, capsys):
    """The emulator exports nothing, so the files are there before."""
    items = fed.items()
    files = [[{"Item": item} for item in items[at::3]] for at in range(3)]
    summary = {**FULL, "tableArn": fed.arn.partition("/stream/")[0], "exportTime": "2999-01-01T00:00:00.000Z"}
    folder = tmp_path / "export"
    written(folder, files, summary, "AWSDynamoDB/01693685827463-2d8752fd/data")
    asked, new_export = [], on_aws.new_export

    def exported(task, bucket, table, name):
        task, more = new_export(task, bucket, table, name)
        asked.append(more["export"])
        for path in folder.rglob("*"):
            if path.is_file():
                key = f"{more['export']['prefix']}/{path.relative_to(folder).as_posix()}"
                fed.aws.client("s3").put_object(Bucket=bucket, Key=key, Body=path.read_bytes())
        return task, more

    monkeypatch.setattr("cli.feeding.new_export", exported)
    options = ("--export", "new", "--first-fill", "--json", str(tmp_path / "report.json"))
    assert run("derive", "exported", *options) == 0
    assert report(tmp_path / "report.json")["items"] == len(items)
    (made,) = fed.dynamodb.list_exports(TableArn=asked[0]["table"])["ExportSummaries"]
    assert made["ExportStatus"] == "COMPLETED"


def test_a_rebuild_removes_what_no_item_explains_part_after_part(fed, run, verified, users, monkeypatch, capsys):
    assert run("derive", "before", "--segments", "4") == 0
    for n in range(0, USERS, 10):
        fed.dynamodb.delete_item(TableName=TABLE, Key={"user_id": user(n)["user_id"]})
    assert not verified("derive")
    waited = []
    monkeypatch.setattr("cli.rebuilding.wait_for_others", waited.append)
    at = ["--endpoint-url", fed.endpoints.aws, "--region", REGION, "--stack", "shop", "--rate", "1000000"]
    for _ in range(2):
        assert main(["rebuild", "derive", *at, "--on-aws"]) == 0
        assert "done: all of it is as it is declared now" in capsys.readouterr().out
    assert len(waited) == 1
    assert verified("derive")


@pytest.fixture
def redrive(fed, users, monkeypatch):
    """The command, of what is parked of derive; its exit status. It sets nobody right but the users."""
    fed.hold(range(USERS))
    monkeypatch.setattr(redriven, "PART_OBJECTS", 40)

    def redrive(name, *more, branch="derive"):
        where = ["--endpoint-url", fed.endpoints.aws, "--region", REGION, "--stack", "shop"]
        given = ["--branch", branch, "--on-aws", "--run", name, "--rate", "1000000", *more]
        return main(["parked", "redrive", *where, *given])

    yield redrive
    fed.empty()


def test_what_is_parked_is_redriven_in_parts_and_what_fails_again_stays(fed, redrive, verified, tmp_path, capsys):
    for n in (5, 250):
        fed.dynamodb.put_item(TableName=TABLE, Item=user(n) | {"visits": {"S": "many"}})
    fed.dynamodb.delete_item(TableName=TABLE, Key={"user_id": user(7)["user_id"]})
    fed.park(range(USERS))
    assert redrive("storm", "--json", str(tmp_path / "report.json")) == 1
    (left,) = report(tmp_path / "report.json")["left"]
    assert (left["branch"], left["changes"]) == ("derive", 2)
    assert "only numbers add up" in left["cause"]
    assert f"{USERS - 2} redriven, 2 left" in capsys.readouterr().out
    parts = {event["part"]["number"] for name, event in fed.invoked if name == "feed" and "part" in event}
    assert parts == set(range(-(-USERS // 40)))
    assert [[each["cause"] for each in body["redrives"]] for body in fed.parked()] == [[left["cause"]]] * 2
    fed.fill([5, 250])
    assert redrive("corrected") == 0
    assert fed.parked() == []
    assert verified("derive")


def test_a_redrive_that_was_killed_goes_on_where_it_was(fed, redrive, capsys):
    fed.park(range(USERS))

    def kill():
        while fed.reconciled() < USERS / 2:
            time.sleep(0.02)
        (running,) = fed.states.list_executions(stateMachineArn=fed.machine, statusFilter="RUNNING")["executions"]
        fed.states.stop_execution(executionArn=running["executionArn"])
        fed.dead.set()

    killer = threading.Thread(target=kill)
    killer.start()
    assert redrive("killed", "--concurrency", "1") == 2
    killer.join()
    assert "it was stopped; then run this again: it goes on" in capsys.readouterr().err
    assert 0 < len(fed.parked()) < USERS
    fed.dead.clear()
    assert redrive("killed", "--concurrency", "1") == 0
    assert fed.parked() == []
    assert fed.reconciled() < USERS * 1.5


@pytest.mark.parametrize("branch", BRANCHES)
def test_what_is_parked_is_redriven_beside_writes(fed, redrive, verified, branch):
    fed.park(range(USERS), branch)
    mapping = fed.attach(branch)
    stopping = threading.Event()
    writer = threading.Thread(target=lambda: fed.write(stopping, USERS))
    writer.start()
    try:
        assert redrive(f"beside-{branch}", branch=branch) == 0
    finally:
        stopping.set()
        writer.join()
    since = time.monotonic()
    while not mapping.drained(since, quiet_seconds=0.5):
        time.sleep(0.1)
    mapping.stop()
    assert "the cause" not in [each["cause"] for each in fed.parked(branch)]
    assert verified(branch)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--branch", "index"], "--on-aws: give one --branch: derive, index, replicate"),
        (["--key", '{"user_id": {"S": "u"}}'], "--key: leave it out, or --on-aws"),
        (["--since", "3"], "--since: leave it out, or --on-aws"),
        (["--even-if-old"], "--even-if-old: leave it out, or --on-aws"),
        (["--run", "a b"], "--run a b: give up to 30 letters"),
    ],
)
def test_a_mistake_of_a_redrive_is_one_line(redrive, capsys, more, says):
    assert redrive("wrong", *more) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--state", "x"], "--state: a run on AWS remembers how far it is by itself"),
        (["--segments", "0"], "--segments: give 1 to 1000"),
        (["--run", "a b"], "--run a b: give up to 30 letters"),
        (["--export", "new", "--archive", "s3://a"], "--export and --archive exclude each other"),
        (["--archive", "s3://a", "--first-fill"], "--archive holds changes, not items"),
        (["--export", "/tmp"], "--export /tmp: give s3://BUCKET/PREFIX"),
        (["--from", "2026-01-01T00:00:00Z"], "--from and --to are moments of an archive"),
    ],
)
def test_a_mistake_is_one_line(run, capsys, more, says):
    assert run("derive", "wrong" if "--run" not in more else "x", *more) == 2
    assert says in capsys.readouterr().err
