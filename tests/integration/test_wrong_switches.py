"""What a step of docs/runbooks/kinesis.md that is left out or done otherwise does: what is lost is never silent."""

import time

from tests.integration.runbook import make_data_stream, write_into_data_stream
from tests.integration.switched import DATA_STREAM, DRAIN_SECONDS

STATES = ("derive", "replicate")


def begun(shop):
    """Its table writes into a data stream, and its functions have read what came before; the stream that they read."""
    shop.write(0)
    make_data_stream(shop.aws, DATA_STREAM)
    write_into_data_stream(shop.aws, "orders", DATA_STREAM)
    shop.catch_up()
    return shop.source.stream_arn


def start_error(stack, name):
    until = time.monotonic() + DRAIN_SECONDS
    while not (found := stack.function(name).start_error()):
        assert time.monotonic() < until, f"{name} has started"
        time.sleep(0.05)
    return found


def equal(shop, verified, generation, *more):
    return {branch: verified(shop, branch, generation, *more)[0] for branch in STATES}


def test_a_function_that_stays_on_the_stream_says_so_and_loses_nothing(shop, verified):
    town = shop(*STATES)
    first = begun(town)
    town.deploy(DATA_STREAM, 1, f"{first}=0", stays=["replicate"])
    town.write(20)
    assert "which is listed with 1 and 0" in start_error(town.stack, "replicate")
    assert "goes along, or gets a stack of its own" in start_error(town.stack, "replicate")
    assert "o20" not in town.items(town.replica, "orders-replica")
    town.deploy(DATA_STREAM, 1, f"{first}=0")
    town.drain()
    assert equal(town, verified, 1) == {"derive": 0, "replicate": 0}


def test_a_source_without_a_generation_of_its_own_is_refused_and_loses_nothing(shop, verified):
    """`EarlierStreams` is left out as well: otherwise the function's settings say so."""
    town = shop(*STATES)
    first = begun(town)
    town.deploy(DATA_STREAM, 0, "")
    town.write(20)
    until = time.monotonic() + DRAIN_SECONDS
    while not all(town.stack.function(each).metrics.counts().get("UnlistedStream") for each in STATES):
        assert time.monotonic() < until
        time.sleep(0.05)
    assert "raise Generation to 1, list the old stream in EarlierStreams" in town.logged("derive")
    town.deploy(DATA_STREAM, 1, f"{first}=0")
    town.drain()
    assert equal(town, verified, 1) == {"derive": 0, "replicate": 0}


def test_what_was_not_read_before_the_switch_is_found_and_repaired(shop, verified):
    town = shop(*STATES)
    town.write(0)
    town.drain()
    for each in town.mappings.values():
        each.stop()
    town.write(20)
    town.delete("o0")
    make_data_stream(town.aws, DATA_STREAM)
    write_into_data_stream(town.aws, "orders", DATA_STREAM)
    town.deploy(DATA_STREAM, 1, f"{town.source.stream_arn}=0")
    town.write(40)
    town.drain()
    assert equal(town, verified, 1) == {"derive": 1, "replicate": 1}
    assert equal(town, verified, 1, "--repair") == {"derive": 0, "replicate": 0}
    town.write(20)
    town.put("o0", 1)
    town.drain()
    assert equal(town, verified, 1) == {"derive": 0, "replicate": 0}


def test_mappings_of_both_sources_that_stay_alive_count_nothing_twice(shop, verified):
    town = shop(*STATES, "archive")
    first = begun(town)

    def for_long():
        for each in (*STATES, "archive"):
            town.stack.attach(first, [each])
        town.write(20)
        town.write(0)
        town.drain()

    town.deploy(DATA_STREAM, 1, f"{first}=0", for_long)
    town.write(40)
    town.drain()
    assert equal(town, verified, 1) == {"derive": 0, "replicate": 0}
    assert town.archived() == town.items(town.dynamodb, "orders")


def test_a_return_to_the_very_stream_that_was_left_ends_right(shop, verified):
    """It is read again from its oldest record, under the next generation."""
    town = shop(*STATES)
    first = begun(town)
    town.deploy(DATA_STREAM, 1, f"{first}=0")
    second = town.source.stream_arn
    town.write(20)
    town.catch_up()
    town.deploy("", 2, f"{first}=0,{second}=1")
    assert "disable it and enable it again" in start_error(town.stack, "derive")
    town.deploy("", 2, f"{second}=1")
    town.write(40)
    town.drain()
    assert equal(town, verified, 2) == {"derive": 0, "replicate": 0}


def test_an_index_is_not_filled_before_its_function_has_taken_a_change(shop, operator, verified):
    """Until then the new index is bound to no stream."""
    town = shop("index")
    town.write(0)
    town.catch_up()
    make_data_stream(town.aws, DATA_STREAM)
    write_into_data_stream(town.aws, "orders", DATA_STREAM)
    moving = operator(town)
    moving.before()
    town.deploy(DATA_STREAM, 1, f"{town.source.stream_arn}=0")
    start, *_ = moving.move
    status, said = moving.run(start)
    assert (status, "wait until it has taken a change" in said) == (2, True), said
    town.write(20)
    town.catch_up()
    moving.after()
    status, said = verified(town, "index", 1)
    assert status == 0, said
