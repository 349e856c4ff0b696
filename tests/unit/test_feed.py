"""The feed function: a part of what a table, an export or an archive holds goes to a branch, and nothing is lost."""

import gzip
import io
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from distributary import __version__
from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.errors import ConfigError, Unavailable
from distributary.feed import part as parts
from distributary.feed.invoke import body_of
from distributary.feed.part import OTHERS, Feeding
from distributary.feed.settings import FeedSettings
from distributary.feed.task import Task
from tests.fakes.answers import refusal
from tests.fakes.exports import FULL, INCREMENTAL, written
from tests.fakes.stack import ACCOUNT
from tests.integration.town import STREAM, VIEWS, Town, order
from tests.unit import archives
from tests.unit.records import change

SOURCE = STREAM.partition("/stream/")[0]
ENABLED = datetime(2026, 11, 20, 9, 12, 44, tzinfo=UTC).timestamp()
NOW = ENABLED + 3 * 3600
HOUR = 3600
VERSION = change(1).version
TASK = Task(function="derive", table="orders", keys=("id",))
FULL_OF_ORDERS = {**FULL, "tableArn": SOURCE, "exportTime": "2026-11-20T11:00:00.000Z"}
CHANGED_ORDERS = {**INCREMENTAL, "tableArn": SOURCE}


class World:
    """A stack with feed beside derive and a mirror; an invocation ends behind so many `looks` at the clock."""

    def __init__(self):
        self.town, self.looks, self.now = Town(), 10**6, NOW
        self.s3, self.elapsed, self.scanned = None, 0.0, set()
        environment = {
            "PARKING_BUCKET": "parking",
            "GENERATION": "0",
            "DERIVE_FUNCTION": f"{ACCOUNT}:derive:live",
            "DERIVE_STREAMS": f"{STREAM}=0",
            "REPLICATE_FUNCTION": f"{ACCOUNT}:replicate:live",
            "REPLICATE_STREAMS": f"{STREAM}=0",
            "TOMBSTONE_DAYS": "7",
            "MARKER_DAYS": "8",
        }
        settings = FeedSettings.load(environment)
        self.feeding = Feeding(settings, self.client, lambda: self.now, self.sleep, lambda: self.elapsed)

    def sleep(self, seconds):
        self.elapsed += seconds

    def client(self, service, region=None, **options):
        return {"dynamodb": self, "lambda": self.town.functions, "s3": self.s3}[service]

    def scan(self, *, TableName, **more):
        self.scanned.add(TableName)
        return self.town.service.scan(TableName="orders", **more)

    def answer(self, event):
        clock = iter(range(10**6))
        return self.feeding.answer(event, Deadline(self.looks, clock=lambda: next(clock)))

    def plan(self, task=TASK):
        return self.answer({"plan": task.as_json()})["parts"]

    def run(self, task=TASK):
        """All parts, each as the state machine goes on with it: what became of them, and how many invocations."""
        answers, invoked = [], 0
        for part in self.plan(task):
            event = {"task": task.as_json(), "part": part, "more": True}
            while event["more"]:
                event, invoked = self.answer(event), invoked + 1
            answers.append(event)
        return answers, invoked


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Distributary")
    return World()


def items(answers):
    return sum(each["items"] for each in answers)


@pytest.mark.parametrize("segments", [1, 3])
@pytest.mark.parametrize("first_fill", [False, True])
@pytest.mark.parametrize("looks", [0, 4, 10**6])
def test_all_parts_together_give_every_item_once(world, segments, first_fill, looks):
    world.looks = looks
    answers, invoked = world.run(replace(TASK, segments=segments, first_fill=first_fill))
    assert items(answers) == 20
    assert world.town.rows() == (20, 40)
    assert invoked > segments if not looks else invoked >= segments


def test_a_part_goes_on_from_its_cursor_and_ends_with_what_became_of_it(world):
    world.looks = 0
    first = world.answer({"task": TASK.as_json(), "part": {"number": 0, "of": 1}})
    assert (first["more"], first["items"], first["cursor"]) == (True, 3, {"id": {"S": "o02"}})
    assert world.town.rows() == (3, 6)
    world.looks = 10**6
    last = world.answer(first)
    outcomes_ = [{"status": "Applied", "cause": "", "items": 20}]
    assert last == {"part": {"number": 0, "of": 1}, "more": False, "items": 20, "outcomes": outcomes_}


def test_twice_is_as_once(world):
    assert [items(world.run()[0]), items(world.run()[0])] == [20, 20]
    assert world.town.rows() == (20, 40)


@pytest.mark.parametrize(("account", "name"), [("123456789012", "orders"), ("210987654321", SOURCE)])
def test_the_table_of_another_account_is_named_by_its_arn(world, account, name):
    function = f"{ACCOUNT}:derive:live".replace("123456789012", account)
    target = replace(world.feeding.settings, derive_function=function)
    world.feeding = replace(world.feeding, settings=target)
    world.run()
    assert world.scanned == {name}


@pytest.mark.parametrize("first_fill", [False, True])
@pytest.mark.parametrize("looks", [0, 3, 10**6])
def test_a_large_page_is_given_in_pieces_and_gone_on_with_in_the_midst(world, first_fill, looks, monkeypatch):
    monkeypatch.setattr(parts, "EVENT_KEYS", 2)
    monkeypatch.setattr(parts, "EVENT_RECORDS", 2)
    world.looks = looks
    answers, invoked = world.run(replace(TASK, first_fill=first_fill))
    assert items(answers) == 20
    assert world.town.rows() == (20, 40)
    assert looks or invoked > 7


def test_a_function_of_several_tables_is_told_which_one(world):
    """Their names are in what it is asked, and a scan reads the table that is meant."""
    two = (STREAM, STREAM.replace("orders", "customers"))
    settings = replace(world.feeding.settings, derive_streams=dict.fromkeys(two, 0), derive_sources=two)
    world.feeding = replace(world.feeding, settings=settings)
    asked = []

    def invoke(*, FunctionName, Payload):
        command = json.loads(Payload)["distributary"]
        asked.append(command["table"])
        done = {"swept": {"read": 1, "done": 0, "left": [], "untouched": [], "cursor": None, "repeatable": True}}
        ends = {"outcomes": [{"status": "Applied"}] * len(command.get("reconcile", []))}
        return {"Payload": io.BytesIO(json.dumps(done if "sweep" in command else ends).encode())}

    world.town.functions.invoke = invoke
    assert items(world.run()[0]) == 20
    assert set(asked) == {"orders"}
    world.run(replace(TASK, sweep="ledger"))
    world.run(replace(TASK, table="customers", sweep="ledger"))
    assert asked[-2:] == ["orders", "customers"]
    with pytest.raises(ConfigError, match="reads table 'orders, customers', not 'derived'"):
        world.run(replace(TASK, table="derived"))


def test_one_view_alone_can_be_fed(world):
    world.run(replace(TASK, only=("sales",)))
    assert world.town.rows() == (0, 40)


def test_the_replica_can_be_fed(world):
    world.run(replace(TASK, function="replicate", first_fill=True))
    assert len(world.town.service.state["replica"]) == 20


def test_a_page_of_an_item_that_keeps_failing_is_not_passed_over(world):
    """What was done before is kept; if nothing was, the state machine is to try again."""
    working = world.town.functions.functions["derive"].reconciler
    calls = []

    def busy(asked, deadline):
        calls.append(asked)
        return working(asked, deadline) if len(calls) < 3 else [outcomes.failed(Unavailable("busy"))] * len(asked)

    world.town.functions.functions["derive"] = world.town.deployment(busy)
    answer = world.answer({"task": TASK.as_json(), "part": {"number": 0, "of": 1}})
    assert (answer["more"], answer["items"], answer["cursor"]) == (True, 6, {"id": {"S": "o05"}})
    with pytest.raises(Unavailable, match="busy"):
        world.answer(answer)
    world.town.functions.functions["derive"] = world.town.deployment(working)
    assert world.answer(answer)["items"] == 20
    assert world.town.rows() == (20, 40)


def test_nothing_is_tried_again_after_the_deadline(world):
    calls = []

    def busy(asked, deadline):
        calls.append(asked)
        return [outcomes.failed(Unavailable("busy"))] * len(asked)

    world.town.functions.functions["derive"] = world.town.deployment(busy)
    world.looks = 0
    with pytest.raises(Unavailable):
        world.answer({"task": TASK.as_json(), "part": {"number": 0, "of": 1}})
    assert len(calls) == 1


def test_a_service_that_refuses_is_tried_again_later(world):
    def throttled(**_):
        raise refusal("Invoke", "TooManyRequestsException", "Rate Exceeded", 429)

    world.town.functions.invoke = throttled
    with pytest.raises(Unavailable, match="invoke derive: TooManyRequestsException"):
        world.answer({"task": TASK.as_json(), "part": {"number": 0, "of": 1}})


def test_what_a_view_rejects_is_counted_by_its_cause(world):
    for n in (1, 7):
        world.town.service.put_item(TableName="orders", Item={**order(n), "total": {"S": "much"}})
    ((answer,), _) = world.run()
    assert answer["items"] == 20
    ((parked, cause),) = [(e["items"], e["cause"]) for e in answer["outcomes"] if e["status"] == "Parked"]
    assert parked == 2
    assert cause


def test_causes_beyond_a_limit_are_counted_together(world):
    before = [{"status": "Parked", "cause": f"cause {n}", "items": 1} for n in range(parts.MOST_CAUSES + 20)]
    event = {"task": TASK.as_json(), "part": {"number": 0, "of": 1}, "outcomes": before}
    answer = world.answer(event)
    assert answer["items"] == 20 + len(before)
    assert len(answer["outcomes"]) <= parts.MOST_CAUSES + 1
    assert OTHERS in {each["cause"] for each in answer["outcomes"]}


def test_a_part_keeps_to_its_rate(world):
    world.run(replace(TASK, rate=2.0))
    assert world.elapsed == pytest.approx((18 - 2) / 2, abs=0.1)


@pytest.mark.parametrize(
    ("event", "says"),
    [
        ({}, "start the state machine"),
        ({"Records": []}, "start the state machine"),
        ([], "start the state machine"),
        ({"plan": {}}, f"version None, and the stack of {__version__}"),
        ({"plan": {**TASK.as_json(), "version": "9.9"}}, "version 9.9"),
        ({"plan": {"version": __version__}}, "the task cannot be read"),
        ({"plan": {**TASK.as_json(), "color": "red"}}, "the task cannot be read"),
        ({"plan": {**TASK.as_json(), "function": "index"}}, "no function 'index'"),
        ({"plan": {**TASK.as_json(), "function": "welcome"}}, "no function 'welcome'"),
        ({"plan": {**TASK.as_json(), "table": "users"}}, "reads table 'orders', not 'users'"),
        ({"plan": {**TASK.as_json(), "archive": "/", "first_fill": True}}, "leave out the first fill"),
    ],
)
def test_what_cannot_succeed_is_said(world, event, says):
    with pytest.raises(ConfigError, match=says):
        world.answer(event)


def test_chosen_parts_alone_are_given(world):
    task = replace(TASK, segments=5, numbers=(1, 4))
    assert world.plan(task) == [{"number": 1, "of": 5}, {"number": 4, "of": 5}]


def export(root, files, **summary):
    written(root, files, {**FULL_OF_ORDERS, **summary}, "AWSDynamoDB/01693685827463-2d8752fd/data")
    return replace(TASK, export=str(root))


def files_of_orders(*counts):
    numbers = iter(range(20))
    return [[{"Item": order(next(numbers))} for _ in range(many)] for many in counts]


@pytest.mark.parametrize("first_fill", [False, True])
@pytest.mark.parametrize("looks", [0, 10**6])
def test_the_files_of_an_export_are_its_parts(world, tmp_path, monkeypatch, first_fill, looks):
    world.looks = looks
    monkeypatch.setattr(parts, "EVENT_KEYS", 3)
    monkeypatch.setattr(parts, "EVENT_RECORDS", 3)
    task = replace(export(tmp_path, files_of_orders(9, 0, 11)), first_fill=first_fill)
    assert world.plan(task) == [{"number": number, "of": 3} for number in range(3)]
    answers, _ = world.run(task)
    assert items(answers) == 20
    assert world.town.rows() == (20, 40)


def test_many_files_share_the_parts(world, tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "MOST_PARTS", 2)
    task = export(tmp_path, files_of_orders(4, 4, 4, 4, 4))
    answers, _ = world.run(task)
    assert [each["items"] for each in answers] == [12, 8]
    assert world.town.rows() == (20, 40)


def test_keys_of_an_export_are_read_as_the_items_are_now(world, tmp_path):
    task = export(tmp_path, [[{"Item": order(n, 99)} for n in range(20)]])
    world.town.service.delete_item(TableName="orders", Key={"id": {"S": "o05"}})
    world.run(task)
    assert world.town.rows() == (19, 38)


def test_an_incremental_export_says_which_items_to_read(world, tmp_path):
    lines = [
        {"Metadata": {"WriteTimestampMicros": {"N": "1"}}, "Keys": {"id": {"S": f"o0{n}"}}, "NewImage": order(n, 99)}
        for n in range(4)
    ]
    written(tmp_path, [lines], CHANGED_ORDERS, "AWSDynamoDB/data")
    answers, _ = world.run(replace(TASK, export=str(tmp_path)))
    assert items(answers) == 4
    assert world.town.rows() == (4, 8)


@pytest.mark.parametrize(
    ("summary", "age", "says"),
    [
        ({"exportTime": "2026-11-20T09:12:43.000Z"}, 0, "the stream's changes begin at 2026-11-20T09:12:44"),
        ({}, 23 * HOUR, "the stream's changes begin at 2026-11-20T11:12:44"),
        ({"exportTime": None}, 0, "has no exportTime"),
        ({"exportTime": "noon"}, 0, "has no exportTime"),
        ({"exportType": "INCREMENTAL_EXPORT"}, 0, "holds changes, not all items"),
    ],
)
def test_images_outside_of_what_the_stream_covers_fill_nothing(world, tmp_path, summary, age, says):
    task = replace(export(tmp_path, files_of_orders(3), **summary), first_fill=True)
    world.now += age
    with pytest.raises(ConfigError, match=says):
        world.plan(task)


def test_images_are_given_only_while_deletes_are_remembered(world, tmp_path):
    task = replace(export(tmp_path, files_of_orders(3)), first_fill=True)
    (part,) = world.plan(task)
    world.now += 7 * 24 * HOUR
    with pytest.raises(ConfigError, match="older than 7 days, for which deletes are remembered"):
        world.answer({"task": task.as_json(), "part": part})
    assert items(world.run(replace(task, first_fill=False))[0]) == 3


def test_an_export_of_another_table_is_refused(world, tmp_path):
    with pytest.raises(ConfigError, match="the export is of arn:aws:dynamodb:us-east-1"):
        world.plan(export(tmp_path, files_of_orders(3), tableArn=FULL["tableArn"]))


def test_a_damaged_file_is_named(world, tmp_path):
    task = export(tmp_path, files_of_orders(3, 3))
    (file,) = tmp_path.rglob("1sgad*.json.gz")
    file.write_bytes(gzip.compress(b'{"Item": {}}\n'))
    assert world.answer({"task": task.as_json(), "part": {"number": 0, "of": 2}})["items"] == 3
    with pytest.raises(ConfigError, match=file.name):
        world.answer({"task": task.as_json(), "part": {"number": 1, "of": 2}})


def test_an_archive_says_which_items_to_read_and_for_which_changes(world):
    world.s3 = archives.bucket([[change(1, user="u"), change(2, "REMOVE", user="v")], [change(3, user="w")]])
    asked = []

    def kept(given, _):
        asked.extend(given)
        return [outcomes.SUPERSEDED] * len(given)

    world.town.functions.functions["derive"] = world.town.deployment(kept)
    stream = "arn:aws:dynamodb:eu-west-1:123456789012:table/users/stream/2026-11-20T09:12:44.017"
    world.feeding = replace(world.feeding, settings=replace(world.feeding.settings, derive_streams={stream: 0}))
    task = Task(function="derive", table="users", keys=("user_id",), archive="s3://archive")
    answers, _ = world.run(task)
    assert items(answers) == 3
    found = {(each.keys["user_id"]["S"], each.version, each.removed) for each in asked}
    assert found == {("u", VERSION, False), ("v", VERSION + 1, True), ("w", VERSION + 2, False)}
    asked.clear()
    answers, _ = world.run(replace(task, end=1))
    assert items(answers) == 0


def test_an_archive_of_another_key_is_named_before_an_item_is_given(world):
    world.s3 = archives.bucket([[change(1, user="u")]])
    stream = "arn:aws:dynamodb:eu-west-1:123456789012:table/users/stream/2026-11-20T09:12:44.017"
    world.feeding = replace(world.feeding, settings=replace(world.feeding.settings, derive_streams={stream: 0}))
    task = Task(function="derive", table="users", keys=("pk", "sk"), archive="s3://archive")
    with pytest.raises(ConfigError, match=r"\.json\.gz:1: its key is user_id: this is another table's"):
        world.run(task)


class Swept:
    """A function whose sweep has so many pages; `broken` answers are lost behind the page, by their place."""

    def __init__(self, pages, repeatable, broken=()):
        self.pages, self.repeatable, self.broken, self.asked = pages, repeatable, set(broken), []

    def invoke(self, *, FunctionName, Payload):
        asked = json.loads(Payload)["distributary"]["sweep"]
        self.asked.append(asked)
        if len(self.asked) in self.broken:
            return {"FunctionError": "Unhandled", "Payload": io.BytesIO(b'{"errorType": "Unavailable"}')}
        page = asked["cursor"]["page"] if asked["cursor"] else 0
        cursor = {"page": page + 1} if page + 1 < self.pages else None
        rows = {"left": [{"cause": "busy", "rows": 1}], "untouched": []}
        found = {"read": 10, "done": 1, **rows, "cursor": cursor, "repeatable": self.repeatable}
        return {"Payload": io.BytesIO(json.dumps({"swept": found}).encode())}


@pytest.mark.parametrize("looks", [0, 1, 10**6])
@pytest.mark.parametrize("repeatable", [True, False])
def test_the_segments_of_what_a_function_keeps_are_swept(world, looks, repeatable):
    world.town.functions, world.looks = Swept(4, repeatable), looks
    answers, invoked = world.run(replace(TASK, sweep="ledger", segments=2, only=("sales",)))
    found = {"read": 40, "done": 4, "left": [{"cause": "busy", "rows": 4}], "untouched": []}
    assert [each["swept"] for each in answers] == [found, found]
    assert {(each["part"], each["segments"]) for each in world.town.functions.asked} == {("ledger", 2)}
    assert invoked == {0: 8, 1: 4, 10**6: 2}[looks]


@pytest.mark.parametrize("looks", [0, 10**6])
def test_a_page_that_can_be_asked_for_once_begins_its_segment_anew(world, looks):
    """What was left is counted once, as it is at the end."""
    world.town.functions, world.looks = Swept(4, False, broken=[3]), looks
    ((answer,), _) = world.run(replace(TASK, sweep="things-g0"))
    assert answer["swept"]["left"] == [{"cause": "busy", "rows": 4}]
    assert [each["cursor"] for each in world.town.functions.asked][:4] == [None, {"page": 1}, {"page": 2}, None]


def test_a_sweep_that_fails_at_its_first_page_is_tried_again_later(world):
    world.town.functions = Swept(4, True, broken=range(1, 100))
    with pytest.raises(Unavailable):
        world.run(replace(TASK, sweep="ledger"))


def test_a_sweep_removes_what_a_view_left_that_is_declared_no_more(world):
    world.run()
    world.town.deploy(VIEWS[:1])
    for part in ("ledger", "derived"):
        answers, _ = world.run(replace(TASK, sweep=part, segments=2))
        assert all(not each["swept"]["left"] for each in answers)
    assert world.town.service.state["derived"].keys() & {("SALES#mon", "TOTAL")} == set()


@pytest.mark.parametrize(
    "event",
    [
        {"Records": [{"dynamodb": {"NewImage": {"n": {"N": "1"}, "t": {"S": "\u20ac \u2028"}, "b": {"B": "AP8="}}}}]},
        {"Records": [{"n": 10**30, "f": 1795815955.0, "e": 1e22}]},
        {"distributary": {"reconcile": [{"key": {"id": {"S": "a"}}}]}},
        {"distributary": {"replay": [{"n": float("inf")}]}},
    ],
    ids=["records", "a number of 31 digits", "a command", "infinity"],
)
def test_the_text_of_an_event_is_read_as_the_event(event):
    assert json.loads(body_of(event)) == event
