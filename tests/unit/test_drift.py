"""The scheduled look stays within its units and its time, finds what differs, and writes nothing."""

import time

import pytest

from distributary.consumer.deadline import Deadline
from distributary.errors import ConfigError, Unavailable
from distributary.replicate import Entity, Mirror
from distributary.replicate.settings import DriftSettings
from distributary.replicate.verify import drift
from tests.fakes.answers import refusal
from tests.unit.replica_tables import World, name

SOURCE = "arn:aws:dynamodb:us-east-1:123456789012:table/source"
FUNCTION = "arn:aws:lambda:us-east-1:{}:function:drift"
READS = {"Scan", "BatchGetItem", "DescribeTable"}


@pytest.fixture
def world(monkeypatch):
    found = World()
    for at in range(40):
        found.put(f"u{at}", **name("a"))
    found.service.calls.clear()
    monkeypatch.setattr(drift, "client", lambda *_, **__: found.service)
    return found


def look(seconds=600.0, units=1000, pause=0):
    settings = DriftSettings(
        parking_bucket="parking",
        generation=0,
        source_table_arn=SOURCE,
        replica_table="replica",
        replica_regions=("eu-west-1",),
        target_role="none",
        version_attribute="_distributary_version",
        read_units=units,
        pause_seconds=pause,
    )
    return drift.measured(settings, "source", Deadline(time.monotonic() + seconds), lambda _: None)


def test_a_table_small_enough_is_compared_whole_and_nothing_is_written(world):
    before = world.service.write_units
    report = look()
    assert (report["differences"], report["items"], report["rows"]) == (0, 40, 40)
    assert report.sampled == {}
    assert world.service.write_units == before
    assert set(world.service.calls) <= READS


def test_what_differs_is_counted_and_left(world):
    world.tamper("u3", **name("other"))
    del world.replica["u4",]
    assert look()["differences"] == 2
    assert world.names()["u3"] == {"S": "other"}


def test_it_stops_once_its_units_are_used_up_and_says_how_far_it_came(world):
    world.service.item_count = 4000
    report = look(units=30)
    used = sum(report.units.values())
    assert 30 <= used < 60
    assert report.sampled["segments"] == 80
    assert 0 < report.sampled["segments_read"] < 80


def test_it_stops_in_the_middle_of_a_segment_too(world):
    """DynamoDB counts a table's items every six hours only: a segment may be larger than it looks."""
    world.service.item_count = 0
    report = look(units=4)
    assert sum(report.units.values()) < 20
    assert report["items"] < 40


def test_it_reads_in_the_first_half_of_its_time_only(world):
    assert look(seconds=0)["items"] == 0


def test_what_cannot_be_told_is_an_error(world):
    def fails(**_):
        raise refusal("Scan", "ProvisionedThroughputExceededException", "slow down")

    world.service.scan = fails
    with pytest.raises(Unavailable):
        look()
    world.service.describe_table = fails
    with pytest.raises(ConfigError, match="table source"):
        look()


def test_a_table_of_the_functions_own_account_goes_by_its_name():
    assert drift.table_here(SOURCE, FUNCTION.format("123456789012")) == "source"
    assert drift.table_here(SOURCE, FUNCTION.format("999999999999")) == SOURCE


def test_the_rows_of_expired_items_that_a_mirror_keeps_are_no_drift(world, monkeypatch):
    del world.service.state["source"]["u3",]
    assert look()["differences"] == 1
    monkeypatch.setattr(drift, "declared", lambda: Mirror(expired="ignore"))
    assert look()["differences"] == 0


def test_the_rows_of_a_mirror_that_faces_this_one_are_no_drift(world, monkeypatch):
    declared = Mirror(of=Entity(name="user", keys=("user_id",)), key_prefix="u")
    monkeypatch.setattr(drift, "declared", lambda: declared)
    world.tamper("there-1", **name("foreign"))
    report = look()
    assert (report["differences"], report["rows"]) == (0, 41)
