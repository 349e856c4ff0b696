"""A difference counts when two looks agree; what never agrees is moving, and what vanishes was merely late."""

from dataclasses import dataclass

from distributary.verify.recheck import LOOKS, recheck


@dataclass(frozen=True)
class Found:
    name: str
    evidence: str


def played(*looks):
    """`looks`: for each look, the evidence by name."""
    turns = [{name: Found(name, evidence) for name, evidence in each.items()} for each in looks]
    waits, confirmed = [], []
    moving = recheck(turns.pop(0), lambda found: turns.pop(0), lambda: waits.append(1), confirmed.extend)
    return [each.name for each in confirmed], [each.name for each in moving], len(waits)


def test_what_is_found_twice_alike_is_confirmed_and_not_looked_at_again():
    assert played({"a": "1", "b": "1"}, {"a": "1", "b": "2"}, {"b": "2"}) == (["a", "b"], [], 2)


def test_what_is_gone_at_a_second_look_was_late():
    assert played({"a": "1"}, {}) == ([], [], 1)


def test_what_differs_at_every_look_is_moving():
    assert played(*({"a": str(turn)} for turn in range(LOOKS))) == ([], ["a"], LOOKS - 1)


def test_what_a_look_finds_besides_is_not_confirmed():
    assert played({"a": "1"}, {"a": "1", "new": "1"}) == (["a"], [], 1)


def test_without_suspects_nothing_waits():
    assert played({}) == ([], [], 0)
