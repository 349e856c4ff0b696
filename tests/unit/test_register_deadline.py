"""A batch that is too long for its function moves on at each delivery."""

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Status
from distributary.dynamodb.tombstones import Tombstones
from distributary.dynamodb.versioned_table import Register, Write
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.serial import Serial


def test_a_hundred_writes_before_the_deadline_are_done_for_good():
    client = DynamoDB({"rows": {"pk": "S"}, "tombstones": {"id": "S"}})
    register = Register(client, "rows", Tombstones(client, "tombstones", 7), Serial())
    keys = [{"pk": {"S": f"{n:04}"}} for n in range(1000)]
    writes = [Write(key["pk"]["S"], key, key, 1) for key in keys]

    def first_failed(calls: int) -> int:
        before = sum(client.calls.values())
        deadline = Deadline(calls, clock=lambda: sum(client.calls.values()) - before)
        ends = register.write(writes, deadline)
        return [end.status for end in ends].index(Status.FAILED)

    assert first_failed(250) == 200
    assert first_failed(450) == 400


def test_of_two_that_share_the_time_the_second_comes_to_its_turn():
    assert Deadline(10.0, clock=lambda: 4.0).share(2).left() == 3.0
