"""A versioned row: what comes between the calls of a write, and what a call that fails leaves."""

import pytest
from botocore.exceptions import ClientError

from distributary.consumer.deadline import FOREVER
from distributary.consumer.outcome import APPLIED, SUPERSEDED, TIED, Status
from distributary.dynamodb.tombstones import Tombstones
from distributary.dynamodb.versioned_table import Register, Write, newest
from distributary.stream import version as versions
from distributary.stream.change import REPLICA_VERSION
from tests.fakes import dynamodb
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.faults import Faults, throttled
from tests.fakes.kinesis import MICROS
from tests.fakes.serial import Serial
from tests.replaced import replace

KEY, OTHER = {"pk": {"S": "a"}}, {"pk": {"S": "b"}}
NOW, DAY = 1000.0, 86_400
MOMENT = versions.of(0, MICROS)


@pytest.fixture
def service():
    return DynamoDB({"rows": {"pk": "S"}, "tombstones": {"id": "S"}})


def register(client):
    return Register(client, "rows", Tombstones(client, "tombstones", 7, lambda: NOW), Serial(), revision=lambda: "r")


def put(version, text="x"):
    return Write("a", KEY, {**KEY, "text": {"S": text}}, version)


def delete(version):
    return Write("a", KEY, None, version)


def row(service):
    return service.state["rows"].get(("a",))


def tombstone(service):
    return service.state["tombstones"].get(("a",))


class Before:
    """A client: `happens` comes before the next call of an operation."""

    def __init__(self, service, operation, happens):
        self.service, self.operation, self.happens = service, operation, happens

    def __getattr__(self, operation):
        if operation == self.operation and self.happens:
            happens, self.happens = self.happens, None
            happens()
        return getattr(self.service, operation)


def failing(service, operation):
    faults = Faults()
    faults.when(lambda name, _: name == operation, throttled)
    return register(faults(service, dynamodb))


def refused_without_the_row(call, service):
    """As endpoints do that know no `ReturnValuesOnConditionCheckFailure`."""
    try:
        return call()
    except ClientError as error:
        error.response.pop("Item", None)
        raise


def test_a_row_that_another_writer_puts_meanwhile_is_not_taken_back(service):
    register(service).write([delete(9)], FOREVER)
    foreign = {**KEY, "text": {"S": "theirs"}}
    client = Before(service, "delete_item", lambda: service.put_item(TableName="rows", Item=foreign))
    assert register(client).write([put(5)], FOREVER) == [SUPERSEDED]
    assert row(service) == foreign


def test_a_change_whose_row_could_not_be_taken_back_fails(service):
    register(service).write([delete(9)], FOREVER)
    (end,) = failing(service, "delete_item").write([put(5)], FOREVER)
    assert end.status is Status.FAILED
    assert row(service) is not None
    assert register(service).write([put(5)], FOREVER) == [SUPERSEDED]
    assert row(service) is None


def test_a_delete_that_is_delivered_again_is_superseded(service):
    register(service).write([put(4)], FOREVER)
    assert register(service).write([delete(5)], FOREVER) == [APPLIED]
    assert register(service).write([delete(5)], FOREVER) == [SUPERSEDED]


def test_a_put_that_is_delivered_again_is_superseded(service):
    assert register(service).write([put(5)], FOREVER) == [APPLIED]
    assert register(service).write([put(5)], FOREVER) == [SUPERSEDED]


def test_a_put_that_fails_is_never_superseded_by_its_tombstone(service):
    """It may still take effect, after this look: another delivery has to look again."""
    register(service).write([delete(9)], FOREVER)
    (end,) = failing(service, "put_item").write([put(5)], FOREVER)
    assert end.status is Status.FAILED


def test_a_delete_is_applied_beside_a_put_that_cannot_look_for_its_tombstone(service):
    ends = failing(service, "batch_get_item").write([put(5), replace(delete(5), id="b", key=OTHER)], FOREVER)
    assert [end.status for end in ends] == [Status.FAILED, Status.APPLIED]


def test_a_put_is_applied_beside_a_delete_if_present_that_cannot_read_its_row(service):
    faults = Faults()
    faults.when(lambda name, request: name == "batch_get_item" and "rows" in request["RequestItems"], throttled)
    unread = replace(delete(5), id="b", key=OTHER, if_present=True)
    ends = register(faults(service, dynamodb)).write([put(5), unread], FOREVER)
    assert [end.status for end in ends] == [Status.APPLIED, Status.FAILED]


@pytest.mark.parametrize("if_present", [False, True])
@pytest.mark.parametrize("older", [{}, {REPLICA_VERSION: {"S": versions.to_text(4)}}], ids=["no version", "older"])
def test_a_delete_takes_a_row_that_is_older_or_has_no_version(service, if_present, older):
    service.put_item(TableName="rows", Item={**KEY, **older})
    assert register(service).write([replace(delete(5), if_present=if_present)], FOREVER) == [APPLIED]
    assert row(service) is None


def test_a_delete_if_present_that_finds_its_own_version_is_superseded(service):
    register(service).write([put(5)], FOREVER)
    assert register(service).write([replace(delete(5), if_present=True)], FOREVER) == [SUPERSEDED]
    assert (row(service)[REPLICA_VERSION], tombstone(service)) == ({"S": versions.to_text(5)}, None)


def test_a_delete_if_present_that_cannot_read_its_row_fails_and_writes_nothing(service):
    (end,) = failing(service, "batch_get_item").write([replace(delete(5), if_present=True)], FOREVER)
    assert (end.status, tombstone(service)) == (Status.FAILED, None)


def test_of_a_rows_writes_in_one_batch_the_newest_counts_in_any_order(service):
    assert register(service).write([put(1), put(3, "newest"), put(2)], FOREVER) == [SUPERSEDED, APPLIED, SUPERSEDED]
    assert row(service)["text"] == {"S": "newest"}


def test_deletes_are_written_before_puts():
    other = replace(put(3), id="b", key=OTHER)
    assert newest([other, put(1), delete(2)]) == [2, 0]


def test_a_repair_never_puts_a_row_whose_time_is_over(service):
    late = replace(put(5), expires_at=int(NOW))
    assert not register(service).repair(late, {}, "")
    assert (row(service), tombstone(service)) == (None, None)
    assert register(service).repair(late, {}, "", at_least=7)
    assert tombstone(service)["version"] == {"S": versions.to_text(7, versions.RETIRED)}


def test_a_repaired_row_that_its_table_expires_leaves_its_version_for_longer(service):
    until = int(NOW) + 30 * DAY
    assert register(service).repair(replace(put(5), expires_at=until), {}, "")
    assert tombstone(service)["version"] == {"S": versions.to_text(5)}
    assert int(tombstone(service)["expires_at"]["N"]) > until


@pytest.mark.parametrize("asked", [put(3, "right"), delete(3)])
def test_a_repair_outranks_every_change_that_it_stands_for(service, asked):
    register(service).write([put(3)], FOREVER)
    assert register(service).repair(asked, row(service), "", at_least=8)
    for change in (delete(7), put(8, "late")):
        register(service).write([change], FOREVER)
    assert row(service) is None if asked.row is None else row(service)["text"] == {"S": "right"}


def test_a_stream_s_put_that_comes_again_is_no_tie_though_its_row_expires(service):
    """Its own tombstone is there from the first delivery. A tie would be reconciled, for reads of its own."""
    made = replace(put(5), expires_at=int(NOW) + DAY)
    assert [register(service).write([made], FOREVER) for _ in range(2)] == [[APPLIED], [SUPERSEDED]]


@pytest.mark.parametrize(("later", "first"), [(0, TIED), (1, SUPERSEDED)])
def test_only_writes_of_one_moment_tie_within_a_batch(service, later, first):
    assert register(service).write([put(MOMENT + later, "b"), put(MOMENT, "a")], FOREVER) == [APPLIED, first]


def test_a_row_that_ttl_leaves_at_the_moment_of_its_put_is_a_tie(service):
    """Their content is alike; whether the row outlives its item is not."""
    there, left = (replace(put(MOMENT), mark=mark) for mark in (versions.LIVE, versions.KEPT))
    assert [register(service).write([each], FOREVER) for each in (there, left, there)] == [
        [APPLIED],
        [TIED],
        [SUPERSEDED],
    ]


def test_a_row_that_cannot_be_compared_is_a_tie(service):
    service.state["rows"]["a",] = {**KEY, "text": {"NEW": "x"}, REPLICA_VERSION: {"S": versions.to_text(MOMENT)}}
    assert register(service).write([put(MOMENT)], FOREVER) == [TIED]


def test_a_delete_that_leaves_a_row_is_superseded_though_none_is_shown(service):
    register(service).write([put(5)], FOREVER)
    silent = Faults()
    silent.when(lambda name, _: name == "delete_item", refused_without_the_row)
    assert register(silent(service, dynamodb)).write([delete(4)], FOREVER) == [SUPERSEDED]
    assert row(service)["text"] == {"S": "x"}
