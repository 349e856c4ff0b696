"""Blocking calls of something else, made aside by threads while a loop goes on with its own."""

import threading
import time

import pytest

from distributary.consumer.deadline import FOREVER
from distributary.consumer.parallel import Parallel
from distributary.dynamodb.client import carry_out_apart
from distributary.dynamodb.steps import Aside, Pause, finish
from distributary.dynamodb.transport import Loop
from distributary.errors import Rejected, Unavailable

ENOUGH = 10.0
"""Seconds after which what is waited for will not come."""


def aside(call):
    return (yield Aside(call))


def paused(done):
    yield Pause(0.001)
    done.set()
    return "went on"


def loop(workers=4):
    return Loop(FOREVER, parallel=Parallel(workers))


def test_other_steps_go_on_while_a_call_is_made_aside():
    went_on = threading.Event()
    assert loop().run([aside(lambda: went_on.wait(ENOUGH)), paused(went_on)]) == [True, "went on"]


def test_as_many_are_made_at_once_as_there_are_threads():
    barrier = threading.Barrier(3)
    found = loop(3).run([aside(lambda: barrier.wait(ENOUGH)) for _ in range(9)])
    assert sorted(found) == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_steps_make_several_one_after_the_other():
    def steps():
        first = yield Aside(lambda: 1)
        second = yield Aside(lambda: first + 1)
        yield Pause(0.001)
        return first, second, (yield Aside(lambda: second + 1))

    assert loop().run([steps() for _ in range(50)]) == [(1, 2, 3)] * 50
    assert finish(steps(), sleep=lambda _: None) == (1, 2, 3)


def refuse():
    raise Rejected("no")


def test_what_a_call_raises_rises_in_the_steps_that_wanted_it():
    def steps():
        with pytest.raises(Rejected, match="no"):
            yield Aside(refuse)
        return "caught"

    refused, caught = loop().run([aside(refuse), steps()])
    assert isinstance(refused, Rejected)
    assert caught == finish(steps()) == "caught"


def test_a_loop_that_is_broken_off_leaves_no_call_behind():
    ended = []

    def slow():
        time.sleep(0.1)
        ended.append("slow")

    def broken():
        yield Pause(0.01)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        loop().run([aside(slow), broken()])
    assert ended == ["slow"]


def test_a_fault_of_a_call_breaks_off_the_loop():
    with pytest.raises(ZeroDivisionError):
        loop().run([aside(lambda: 1 // 0)])


def test_a_loop_without_threads_says_that_it_can_make_none():
    with pytest.raises(TypeError, match="can not be done here"):
        Loop(FOREVER).run([aside(refuse)])


@pytest.mark.parametrize("clients", [[], [object()]], ids=["one thread", "threads"])
def test_steps_apart_end_each_for_itself(clients):
    """Without a client, all clients are ours."""
    pauses = []

    def steps(n):
        yield Pause(0.001)
        if n == 1:
            raise Unavailable("busy")
        return n

    ends = carry_out_apart(clients, [steps(n) for n in range(3)], Parallel(2), FOREVER, pauses.append)
    assert [ends[0], str(ends[1]), ends[2]] == [0, "busy", 2]
    assert pauses == [0.001] * 3 * len(clients)
