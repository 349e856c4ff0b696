"""The feed function redrives what is parked in parts: what succeeds goes, what fails stays with its history."""

import json
from dataclasses import replace

import pytest

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import FOREVER, Deadline
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.errors import ConfigError, Rejected, Unavailable
from distributary.feed import redriven as parts
from distributary.feed.part import Feeding
from distributary.feed.settings import FeedSettings
from distributary.feed.task import Task
from distributary.stream.records import decode
from tests.fakes.answers import refusal
from tests.fakes.s3 import Versioned
from tests.fakes.stack import ACCOUNT
from tests.integration.town import STREAM, Town, order
from tests.unit.records import stream_record

TASK = Task(function="derive", parked=True)
WHY = outcomes.parked(Rejected("the cause", "the detail"))


class World:
    """A stack with feed beside derive, whose orders have all been parked."""

    def __init__(self):
        self.town, self.s3, self.looks, self.elapsed = Town(), Versioned("parking"), 10**6, 0.0
        settings = FeedSettings.load(
            {
                "PARKING_BUCKET": "parking",
                "GENERATION": "0",
                "DERIVE_FUNCTION": f"{ACCOUNT}:derive:live",
                "DERIVE_STREAMS": f"{STREAM}=0",
                "TOMBSTONE_DAYS": "7",
                "MARKER_DAYS": "8",
            }
        )
        self.feeding = Feeding(settings, self.client, sleep=self.sleep, clock=lambda: self.elapsed)
        self.parking = Parking(self.s3, "parking", "derive", Parallel(1))
        self.park(range(20))

    def sleep(self, seconds):
        self.elapsed += seconds

    def client(self, service, region=None, **options):
        return {"lambda": self.town.functions, "s3": self.s3}[service]

    def park(self, numbers, end=WHY):
        entries = decode({"Records": [record(n) for n in numbers]}, 0)
        assert not any(self.parking.park([(entry, end) for entry in entries], FOREVER))

    def give_up(self, numbers, name, branch="derive"):
        context = {"functionArn": f"{ACCOUNT}:{branch}:3", "condition": "RetryAttemptsExhausted"}
        body = {"requestContext": context, "payload": json.dumps({"Records": [record(n) for n in numbers]})}
        key = f"aws/lambda/{name}"
        self.s3.put_object(Bucket="parking", Key=key, Body=json.dumps(body).encode(), ContentType="")

    def answer(self, event):
        clock = iter(range(10**6))
        return self.feeding.answer(event, Deadline(self.looks, clock=lambda: next(clock)))

    def run(self, task=TASK):
        """All parts, each as the state machine goes on with it: what became of them, and how many invocations."""
        answers, invoked = [], 0
        for part in self.answer({"plan": task.as_json()})["parts"]:
            event = {"task": task.as_json(), "part": part, "more": True}
            while event["more"]:
                event, invoked = self.answer(event), invoked + 1
            answers.append(event)
        return answers, invoked

    def reconciler(self, instead):
        self.town.functions.functions["derive"] = self.town.deployment(instead)


def record(n):
    found = stream_record(n + 1)
    keys = {"id": order(n)["id"]}
    return {**found, "eventSourceARN": STREAM, "dynamodb": {**found["dynamodb"], "Keys": keys, "NewImage": order(n)}}


def busy(asked, deadline):
    return [outcomes.failed(Unavailable("busy"))] * len(asked)


def rejected(asked, deadline):
    return [outcomes.parked(Rejected("only numbers add up"))] * len(asked)


def items(answers):
    return sum(each["items"] for each in answers)


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Distributary")
    return World()


@pytest.mark.parametrize("objects", [1, 3, 1000])
@pytest.mark.parametrize("page", [1, 3, 1000])
@pytest.mark.parametrize("looks", [0, 3, 10**6])
def test_all_parts_together_redrive_every_object_once(world, monkeypatch, objects, page, looks):
    monkeypatch.setattr(parts, "PART_OBJECTS", objects)
    monkeypatch.setattr(parts, "EVENT_KEYS", 4)
    world.looks, world.s3.page_keys = looks, page
    world.give_up([0, 1, 30], "a/one")
    answers, invoked = world.run()
    assert items(answers) == 23
    assert {each["status"] for answer in answers for each in answer["outcomes"]} == {"Applied"}
    assert world.town.rows() == (20, 40)
    assert world.s3.kept == {}
    assert len(answers) == sum(-(-many // objects) for many in (20, 1))
    assert looks or invoked > len(answers) or objects < 5


def test_the_names_in_a_plan_are_never_more_than_the_state_machine_passes_on(world, monkeypatch):
    monkeypatch.setattr(parts, "PART_OBJECTS", 1)
    monkeypatch.setattr(parts, "PLAN_BYTES", 1000)
    world.give_up([0], "a/one")
    planned = world.answer({"plan": TASK.as_json()})["parts"]
    assert 2 < len(planned) < 10
    assert sum(len(each["until"]) for each in planned) < 500
    assert items(world.run()[0]) == 21
    assert world.s3.kept == {}


def test_nothing_parked_is_a_part_without_objects(world):
    world.run()
    answers, _ = world.run()
    assert [(each["items"], each["outcomes"], each["more"]) for each in answers] == [(0, [], False)]


def test_objects_of_other_functions_and_causes_stay(world):
    world.park([1], outcomes.parked(Rejected("another cause")))
    world.give_up([2], "a/other", branch="index")
    other = Parking(world.s3, "parking", "replicate", Parallel(1))
    (entry,) = decode({"Records": [record(3)]}, 0)
    other.park([(entry, WHY)], FOREVER)
    assert items(world.run(replace(TASK, cause="the cause"))[0]) == 19
    left = sorted(json.loads(each).get("cause", "") for each in world.s3.state.values())
    assert left == ["", "another cause", "the cause"]


def test_what_fails_again_stays_with_its_history_and_the_part_goes_on(world, monkeypatch):
    monkeypatch.setattr(parts, "EVENT_KEYS", 1)
    working = world.town.functions.functions["derive"].reconciler

    def one_is_rejected(asked, deadline):
        ends = working(asked, deadline)
        places = [each.keys["id"]["S"] for each in asked]
        return [*rejected([1], 0)] if places == ["o07"] else ends

    world.reconciler(one_is_rejected)
    (answer,), _ = world.run()
    assert [(each["status"], each["cause"], each["items"]) for each in answer["outcomes"]] == [
        ("Applied", "", 19),
        ("Parked", "only numbers add up", 1),
    ]
    ((name, versions),) = world.s3.kept.items()
    assert len(versions) == 1
    assert [each["cause"] for each in json.loads(world.s3.state[name])["redrives"]] == ["only numbers add up"]


def test_a_function_that_does_not_answer_fails_the_part_and_changes_no_object(world):
    before = dict(world.s3.state)

    def throttled(**_):
        raise refusal("Invoke", "TooManyRequestsException", "Rate Exceeded", 429)

    world.town.functions.invoke = throttled
    with pytest.raises(Unavailable, match="redrive of derive: TooManyRequestsException"):
        world.run()
    assert world.s3.state == before


def test_what_fails_at_the_deadline_is_tried_again_and_has_no_history(world, monkeypatch):
    """Nothing is tried again after the deadline: the next invocation does it."""
    monkeypatch.setattr(parts, "EVENT_KEYS", 4)
    before = dict(world.s3.state)
    working = world.town.functions.functions["derive"].reconciler
    world.reconciler(busy)
    world.looks = 0
    with pytest.raises(Unavailable, match="derive keeps failing changes: busy"):
        world.run()
    assert world.s3.state == before
    world.reconciler(working)
    assert items(world.run()[0]) == 20


def test_a_part_that_got_ahead_before_it_failed_goes_on_from_there(world, monkeypatch):
    monkeypatch.setattr(parts, "EVENT_KEYS", 4)
    working, calls = world.town.functions.invoke, []

    def then_throttled(**arguments):
        calls.append(arguments)
        if len(calls) > 2:
            raise refusal("Invoke", "TooManyRequestsException", "Rate Exceeded", 429)
        return working(**arguments)

    world.town.functions.invoke = then_throttled
    (part,) = world.answer({"plan": TASK.as_json()})["parts"]
    answer = world.answer({"task": TASK.as_json(), "part": part})
    assert (answer["more"], answer["items"], len(world.s3.kept)) == (True, 8, 12)
    with pytest.raises(Unavailable, match="TooManyRequestsException"):
        world.answer(answer)
    world.town.functions.invoke = working
    assert world.answer(answer)["items"] == 20
    assert world.s3.kept == {}


def test_a_part_keeps_to_its_rate(world, monkeypatch):
    monkeypatch.setattr(parts, "EVENT_KEYS", 4)
    world.run(replace(TASK, rate=2.0))
    assert world.elapsed == pytest.approx((20 - 2 - 4) / 2, abs=2.5)


def test_a_function_that_is_not_deployed_is_said(world):
    with pytest.raises(ConfigError, match="no function 'index'"):
        world.run(replace(TASK, function="index"))
