"""Joins through one thread and real sockets: what holds with threads holds here."""

import pytest
from botocore.credentials import ReadOnlyCredentials

from distributary.consumer.outcome import Status
from distributary.dynamodb.client import DynamoDBClient
from tests.fakes.dynamodb_server import serving
from tests.unit.joined import BY_COUNTRY, INNER, LEFT, OPEN, OWNED, Shop


@pytest.fixture(params=[LEFT, INNER, OWNED, OPEN, BY_COUNTRY])
def shop(request):
    """A shop whose branch has the fast client alone."""
    running = []

    def client(service):
        running.append(serving(service))
        url = running[0].__enter__().url
        return DynamoDBClient(url, "eu-west-1", lambda: ReadOnlyCredentials("a", "b", None), 16, read_seconds=10)

    yield Shop(request.param, client=client)
    running[0].__exit__(None, None, None)


def test_both_sides_at_once_and_a_change_of_a_right_item_with_300_rows(shop):
    orders = [shop.put("orders", f"o{at:03d}", customer_id=f"c{at % 2}", total="5", status="open") for at in range(600)]
    customers = [shop.put("customers", f"c{at}", name="Ada", tier="gold", country="uk") for at in range(2)]
    for at in range(0, 600, 200):
        ends = shop.deliver(*customers, *orders[at : at + 200])
        assert {end.status for end in ends} <= {Status.APPLIED, Status.SUPERSEDED}, ends[0]
    assert [row["name"] for row in shop.rows().values()] == ["Ada"] * 600
    (end,) = shop.deliver(shop.put("customers", "c1", name="Grace", tier="gold", country="fr"))
    assert end.status is Status.APPLIED
    assert [row["name"] for row in shop.rows().values()].count("Grace") == 300
    shop.deliver(shop.delete("customers", "c1"), shop.delete("orders", "o000"))
    assert sum("name" in row for row in shop.rows().values()) == 299
