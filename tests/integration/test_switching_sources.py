"""docs/runbooks/kinesis.md for each function, for several at once, and for the trunk: there and back, with the real
functions; nothing is lost, and nothing sent or archived twice."""

import re

import pytest

CALM = 100
"""Groups of items, so that none changes at each look of a comparison."""
FIVE = ("derive", "index", "welcome", "replicate", "archive")


def test_a_mirror_goes_to_kinesis_and_back_while_the_application_writes(shop):
    mirror = shop("replicate")
    mirror.write(0)
    mirror.write_on()
    mirror.there_and_back(mirror.catch_up, mirror.write)
    mirror.rest()
    mirror.drain()
    assert mirror.items(mirror.replica, "orders-replica") == mirror.items(mirror.dynamodb, "orders")


def test_an_archive_that_is_switched_in_a_pause_has_every_change_once(shop):
    archive = shop("archive")
    archive.write(0)

    def after(begin):
        archive.write(begin)
        archive.drain()

    archive.there_and_back(archive.drain, after)
    once = {each.at: each for each in archive.archive().changes()}
    assert len(once) == 3 * 14
    assert archive.archived() == archive.items(archive.dynamodb, "orders")


@pytest.mark.parametrize("again", ["never", "each"])
def test_welcome_that_is_switched_in_a_pause_sends_each_message_once(shop, again):
    welcome = shop("welcome", again=again)
    welcome.write(0)

    def after(begin):
        welcome.write(begin)
        welcome.drain()

    welcome.there_and_back(welcome.drain, after)
    inserted = [f"o{begin + at}" for begin in (0, 20, 40) for at in range(6)]
    again_inserted = [f"o{begin + 1}" for begin in (0, 20, 40)] if again == "each" else []
    assert welcome.sent() == sorted([*inserted, *again_inserted])


def test_an_index_goes_to_kinesis_and_back_while_the_application_writes(shop, operator, verified):
    index = shop("index")
    index.write(0)
    index.write_on(groups=CALM)
    moving = operator(index)

    def before():
        index.catch_up()
        moving.before()

    def after(begin):
        index.write(begin)
        index.catch_up()
        moving.after()

    index.there_and_back(before, after)
    index.rest()
    index.drain()
    status, said = verified(index, "index", 2)
    assert status == 0, said


@pytest.mark.parametrize(("functions", "trunk"), [(("derive", "index"), False), (FIVE, True)], ids=["two", "trunk"])
def test_a_whole_stack_goes_to_kinesis_and_back_while_the_application_writes(
    shop, operator, verified, functions, trunk
):
    """In the trunk, what one generation defers is fed by the next: welcome always defers, and two branches are paused
    while the source changes."""
    town = shop(*functions, trunk=trunk)
    town.write(0)
    town.write_on(groups=CALM)
    moving, paused = operator(town), ("derive", "replicate") if trunk else ()

    def before():
        for branch in paused:
            town.pause(branch)
        town.catch_up()
        moving.before()

    def after(begin):
        town.write(begin)
        town.catch_up()
        moving.after()
        for branch in paused:
            town.resume(branch)

    town.there_and_back(before, after, lambda: town.write(60))
    town.rest()
    town.drain()
    for branch in {"derive", "index", "replicate"} & set(functions):
        status, said = verified(town, branch, 2)
        assert (status, "items 0," in said) == (0, False), said
    if trunk:
        assert town.archived() == town.items(town.dynamodb, "orders")
        assert town.sent() == sorted(id for id in town.inserted if not re.fullmatch(r"o\d{3,}", id))
