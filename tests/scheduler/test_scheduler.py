"""The instrument itself: it finds what it is there to find, replays it, and waits for nothing."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from math import comb
from pathlib import Path

import pytest

from distributary.consumer.deadline import Deadline
from distributary.consumer.parallel import Parallel
from distributary.dynamodb.tombstones import Tombstones
from tests.fakes import dynamodb
from tests.fakes.dynamodb import DynamoDB
from tests.scheduler.branches import BRANCHES
from tests.scheduler.choices import Listed, Seeded, every
from tests.scheduler.effects import Faults, crash_after, crash_before, late, lost, set_back
from tests.scheduler.runs import play, play_every
from tests.scheduler.scheduler import Scheduler
from tests.scheduler.trace import text

ROOT = Path(__file__).parents[2]
COUNTER = {"id": {"S": "counter"}}


class Counter:
    """Two actors that read a number and write one more: a lost update, if one comes between the other's calls."""

    def __init__(self, choices, faults=None, coarse=True):
        self.service = DynamoDB({"numbers": {"id": "S"}})
        self.scheduler = Scheduler(choices, faults, coarse=coarse)
        self.client = self.scheduler.client(self.service, dynamodb)

    def number(self):
        return int(self.service.state["numbers"].get(("counter",), {"n": {"N": "0"}})["n"]["N"])

    def add(self):
        found = self.client.get_item(TableName="numbers", Key=COUNTER, ConsistentRead=True)
        self.put(int(found.get("Item", {"n": {"N": "0"}})["n"]["N"]) + 1)

    def puts(self, number):
        return lambda: [self.put(number) for _ in range(3)]

    def put(self, number):
        self.client.put_item(TableName="numbers", Item={**COUNTER, "n": {"N": str(number)}})

    def run(self):
        self.scheduler.play(self.add, self.add)
        assert self.number() == 2


def counter(seed, choices):
    return Counter(choices)


def test_every_order_of_two_actors_calls_is_played_once():
    orders = []
    for choices in every(10):
        made = Counter(choices)
        made.scheduler.play(made.puts(0), made.puts(1))
        orders.append(tuple(event.arguments["Item"]["n"]["N"] for event in made.scheduler.trace))
    assert len(set(orders)) == comb(6, 3)


@pytest.mark.parametrize("played", [lambda: play(counter, range(100)), lambda: play_every(counter, 1)])
def test_a_lost_update_is_shown_with_its_calls_its_seed_and_its_choices(played):
    with pytest.raises(AssertionError) as raised:
        played()
    said = str(raised.value)
    assert said.count("get_item") == 2
    assert "replay with SEED=" in said
    choices = Listed(eval(said.rpartition("choices=")[2]))
    with pytest.raises(AssertionError):
        counter(0, choices).run()


def trace_of(seed):
    """Of a schedule of each world."""
    said = []
    for name in ("derive", "index-repaired", "mirror-repaired", "welcome"):
        world = BRANCHES[name](seed, Seeded(seed))
        world.run()
        said.append(text(world.scheduler.trace))
    return "\n".join(said)


def test_a_seed_plays_the_same_schedule_in_every_process():
    program = "import sys; from tests.scheduler.test_scheduler import trace_of; sys.stdout.write(trace_of(4))"
    path = {**os.environ, "PYTHONPATH": ".:layers/distributary"}
    command = [sys.executable, "-c", program]
    run = partial(subprocess.run, command, cwd=ROOT, capture_output=True, text=True, check=True)
    runs = [run(env={**path, "PYTHONHASHSEED": seed}) for seed in ("1", "2")]
    assert runs[0].stdout == runs[1].stdout == trace_of(4)


def test_time_is_virtual_also_for_the_layers_own_clocks_and_threads():
    scheduler, started = Scheduler(Listed([])), time.monotonic()
    seen = []

    def program():
        deadline = Deadline(scheduler.monotonic() + 60)
        Parallel(4).run(lambda seconds: scheduler.sleep(seconds), [10.0, 20.0, 30.0], deadline)
        seen.append(deadline.left())

    scheduler.play(program)
    assert seen == [30.0]
    assert time.monotonic() - started < 5
    assert Deadline(time.monotonic() + 60).left() > 59


def played(fault, *programs):
    made = Counter(Listed([1]), Faults(1, kinds=(fault,)))
    made.scheduler.play(*[lambda program=program: program(made) for program in programs])
    return made


@pytest.mark.parametrize(("fault", "left"), [(crash_before, 0), (crash_after, 7)])
def test_a_crash_ends_the_actor_before_or_after_its_call_took_effect(fault, left):
    told = []

    def program(made):
        made.put(7)
        told.append("not reached")

    assert played(fault, program).number() == left
    assert told == []


def test_a_second_thread_cannot_take_the_clocks_of_the_process():
    with ThreadPoolExecutor(1) as pool, pytest.raises(RuntimeError, match="main thread, or in processes"):
        pool.submit(Scheduler(Listed([])).run).result()
    assert time.time in Tombstones.__init__.__defaults__, "the layer has the real clock"


def test_a_crash_of_one_thread_ends_the_whole_process():
    scheduler = Scheduler(Seeded(0), Faults(1, odds=1.0, kinds=(crash_before,)))
    client = scheduler.client(DynamoDB({"numbers": {"id": "S"}}), dynamodb)
    reached = []

    def put(number):
        client.put_item(TableName="numbers", Item={"id": {"S": str(number)}})

    def program():
        Parallel(4).run(put, range(4), Deadline(float("inf")))
        reached.append("not reached")

    scheduler.play(program)
    assert reached == []


def twice(made):
    for number in (1, 2):
        try:
            made.put(number)
        except type(dynamodb.UNANSWERED):
            continue


def test_a_response_is_lost_of_a_call_that_takes_effect_now_or_later():
    assert [played(fault, twice).number() for fault in (lost, late)] == [2, 1]


def test_wall_clocks_are_set_back_and_monotonic_ones_never_are():
    clocks = []

    def program(made):
        clocks.append((made.scheduler.time(), made.scheduler.monotonic()))
        made.put(1)
        clocks.append((made.scheduler.time(), made.scheduler.monotonic()))

    played(set_back, program)
    assert clocks[1][0] < clocks[0][0]
    assert clocks[1][1] > clocks[0][1]
