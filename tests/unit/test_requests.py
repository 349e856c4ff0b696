"""Reads of many keys and conditional writes: what comes back, how many requests it takes, and when they end."""

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from distributary.consumer.backoff import backoff
from distributary.consumer.deadline import FOREVER, Deadline
from distributary.dynamodb.requests import Met, batch_get, conditional_write
from distributary.errors import Rejected, Unavailable


def keys(number):
    return [{"id": {"S": str(each)}} for each in range(number)]


class Table:
    """Answers at most `most` keys of a request and leaves the others unprocessed; odd ids do not exist."""

    def __init__(self, most=100):
        self.most, self.requests = most, []

    def batch_get_item(self, RequestItems):
        ((table, request),) = RequestItems.items()
        self.requests.append(request)
        assert len(request["Keys"]) <= 100
        read, left = request["Keys"][: self.most], request["Keys"][self.most :]
        rows = [{**key, "n": {"N": "1"}} for key in read if int(key["id"]["S"]) % 2 == 0]
        return {"Responses": {table: rows}, "UnprocessedKeys": {table: {**request, "Keys": left}} if left else {}}


class Clock:
    def __init__(self):
        self.now, self.pauses = 0.0, []

    def __call__(self):
        return self.now

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds


def test_many_keys_take_one_request_a_hundred():
    table, clock = Table(), Clock()
    found = batch_get(table, "t", keys(250), FOREVER, sleep=clock.sleep)
    assert clock.pauses == []
    assert sorted(int(row["id"]["S"]) for row in found) == list(range(0, 250, 2))
    assert [len(each["Keys"]) for each in table.requests] == [100, 100, 50]
    assert batch_get(table, "t", [], FOREVER) == []
    assert len(table.requests) == 3


def test_unprocessed_keys_are_asked_for_again_with_the_next():
    table, clock = Table(most=60), Clock()
    found = batch_get(table, "t", keys(250), FOREVER, sleep=clock.sleep, jitter=lambda low, high: high)
    assert len(found) == 125
    assert [len(each["Keys"]) for each in table.requests] == [100, 100, 100, 70, 10]
    assert clock.pauses == [0.05 * 2**tries for tries in range(4)]


def test_a_read_that_gets_ahead_pauses_no_longer_the_next_time():
    class Alternating(Table):
        def batch_get_item(self, **arguments):
            self.most = (60, 100)[len(self.requests) % 2]
            return super().batch_get_item(**arguments)

    table, clock = Alternating(), Clock()
    batch_get(table, "t", keys(250), FOREVER, sleep=clock.sleep, jitter=lambda low, high: high)
    assert [len(each["Keys"]) for each in table.requests] == [100, 100, 90, 30]
    assert clock.pauses == [0.05, 0.05]


def test_a_read_that_is_never_finished_ends_with_the_deadline():
    table, clock = Table(most=0), Clock()
    with pytest.raises(Unavailable, match="timeout"):
        batch_get(table, "t", keys(2), Deadline(10.0, 0.0, clock), sleep=clock.sleep)
    assert clock.now == 10.0
    assert max(clock.pauses) <= 2.0


def test_a_read_that_is_refused_is_no_item_s_fault():
    class Refusing:
        def batch_get_item(self, **_):
            raise ClientError({"Error": {"Code": "ValidationException", "Message": "too large"}}, "BatchGetItem")

    with pytest.raises(Unavailable, match=r"look: ValidationException"):
        batch_get(Refusing(), "t", keys(1), FOREVER, "look")


def refusing(code, item=None):
    def put_item(**_):
        raise ClientError({"Error": {"Code": code, "Message": ""}, **({"Item": item} if item else {})}, "PutItem")

    return put_item


def test_a_conditional_write_tells_what_it_met():
    sent = []
    assert conditional_write(lambda **arguments: sent.append(arguments), "put", Item={}) == Met(True, {})
    assert sent == [{"Item": {}}]
    refusal = "ConditionalCheckFailedException"
    assert conditional_write(refusing(refusal, {"id": {"S": "a"}}), "put") == Met(False, {"id": {"S": "a"}})
    assert conditional_write(refusing(refusal), "put") == Met(False, {})


def test_other_errors_of_a_conditional_write_rise_by_what_to_do():
    with pytest.raises(Rejected, match="put: ValidationException"):
        conditional_write(refusing("ValidationException"), "put")
    with pytest.raises(Unavailable, match="put: ThrottlingException"):
        conditional_write(refusing("ThrottlingException"), "put")

    def unreachable():
        raise EndpointConnectionError(endpoint_url="http://nowhere")

    with pytest.raises(Unavailable, match="put: EndpointConnectionError"):
        conditional_write(unreachable, "put")


@pytest.mark.parametrize(("tries", "most"), [(0, 0.05), (1, 0.1), (5, 1.6), (6, 2.0), (5000, 2.0)])
def test_a_pause_doubles_up_to_two_seconds(tries, most):
    pauses = []
    backoff(FOREVER, tries, sleep=pauses.append, jitter=lambda low, high: high)
    assert pauses == [most]


def test_no_pause_outlasts_the_deadline():
    pauses = []
    backoff(Deadline(1.0, 0.0, lambda: 0.75), 9, sleep=pauses.append, jitter=lambda low, high: high)
    assert pauses == [0.25]
