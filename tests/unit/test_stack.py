"""How deep the stack is makes no batch slower."""

import statistics
import time

import pytest

from distributary.consumer.stack import in_one_piece

DEPTHS = range(700)
"""Calls below: together they take several pieces of 16 KB."""


def below(depth, work):
    return below(depth - 1, work) if depth else work()


def inner(value):
    return value + 1


def calls():
    """Seconds of the processor for many calls, the least of several."""
    return min(_calls() for _ in range(3))


def _calls():
    began = time.process_time()
    for value in range(200):
        inner(value)
    return time.process_time() - began


def worst(work):
    """The slowest depth by the usual one."""
    found = [below(depth, work) for depth in DEPTHS]
    return max(found) / statistics.median(found)


def test_a_loop_takes_the_same_time_at_every_depth():
    usual, in_a_piece = worst(calls), worst(lambda: in_one_piece(calls))
    assert in_a_piece < usual / 2
    assert in_a_piece < 3


def test_arguments_results_and_errors_pass():
    assert in_one_piece(lambda *given, **named: (given, named), 1, a=2) == ((1,), {"a": 2})
    with pytest.raises(ValueError, match="x"):
        in_one_piece(int, "x")
