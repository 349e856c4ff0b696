"""Embedded services: on this machine only, and gone afterwards."""

import os
import signal
import socket
import subprocess
import sys
import time
from decimal import Decimal
from urllib.parse import urlsplit

import psutil
import pytest

from local.aws import Aws
from local.emulators import Ports, embedded, port_for
from local.errors import LocalError
from tests.contract.world import table_names

pytestmark = pytest.mark.emulator


def children():
    return {process.pid for process in psutil.Process().children(recursive=True)}


def listens(url):
    place = urlsplit(url)
    with socket.socket() as probe:
        return probe.connect_ex((place.hostname, place.port)) == 0


def test_both_services_listen_on_the_loopback_interface_only(endpoints):
    ports = {urlsplit(url).port for url in (endpoints.aws, endpoints.opensearch)}
    listening = [
        [listener.laddr for listener in process.net_connections("inet") if listener.status == psutil.CONN_LISTEN]
        for process in psutil.Process().children(recursive=True)
    ]
    ours = [address for each in listening if ports & {address.port for address in each} for address in each]
    assert {address.port for address in ours} == ports
    assert {address.ip for address in ours} == {"127.0.0.1"}


def test_two_regions_of_one_endpoint_are_apart(endpoints):
    for region in ("us-east-1", "eu-west-1"):
        client = Aws.at_emulator(endpoints.aws, region).client("dynamodb")
        arn = client.create_table(
            TableName=f"apart-{region}",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )["TableDescription"]["TableArn"]
        assert f":{region}:" in arn
        assert [name for name in table_names(client) if name.startswith("apart-")] == [f"apart-{region}"]


def test_a_table_is_known_by_its_arn(endpoints):
    client = Aws.at_emulator(endpoints.aws, "us-east-1").client("dynamodb")
    key = {"id": {"S": "a"}}
    table = client.create_table(
        TableName="by-arn",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )["TableDescription"]["TableArn"]
    client.put_item(TableName="by-arn", Item=key)
    (items,) = client.batch_get_item(RequestItems={table: {"Keys": [key]}})["Responses"].values()
    assert (items, client.scan(TableName=table)["Items"]) == ([key], [key])


@pytest.mark.parametrize("written", ["7.50", "9.9e125", "-0.0"])
def test_a_number_in_a_key_finds_its_item_in_any_spelling(endpoints, written):
    client = Aws.at_emulator(endpoints.aws, "us-east-1").client("dynamodb")
    if "by-number" not in table_names(client):
        client.create_table(
            TableName="by-number",
            KeySchema=[{"AttributeName": "at", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "at", "AttributeType": "N"}],
            BillingMode="PAY_PER_REQUEST",
        )
    client.put_item(TableName="by-number", Item={"at": {"N": written}, "note": {"S": written}})
    for spelling in (written, str(Decimal(written) + 0), format(Decimal(written), "f"), f"{Decimal(written):E}"):
        found = client.get_item(TableName="by-number", Key={"at": {"N": spelling}})
        assert found.get("Item", {}).get("note") == {"S": written}, spelling


def test_a_write_takes_no_longer_in_a_table_of_many_items(endpoints):
    client = Aws.at_emulator(endpoints.aws, "us-east-1").client("dynamodb")
    client.create_table(
        TableName="of-many",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    puts = [{"Put": {"TableName": "of-many", "Item": {"id": {"S": f"again-{n}"}}}} for n in range(100)]

    def least():
        return min(cpu_of(lambda: client.transact_write_items(TransactItems=puts)) for _ in range(5))

    few, many = least(), 20_000
    for at in range(0, many, 25):
        batch = [{"PutRequest": {"Item": {"id": {"S": f"i{n}"}}}} for n in range(at, at + 25)]
        client.batch_write_item(RequestItems={"of-many": batch})
    assert least() < 4 * max(few, 0.01)
    assert client.describe_table(TableName="of-many")["Table"]["ItemCount"] == many + len(puts)


def cpu_of(call):
    """Seconds of a processor that the services take for it."""

    def used():
        return sum(sum(each.cpu_times()[:2]) for each in psutil.Process().children(recursive=True))

    before = used()
    call()
    return used() - before


def test_nothing_is_left_running_when_the_block_ends_or_breaks():
    before = children()
    with pytest.raises(ZeroDivisionError):
        with embedded() as found:
            raise ZeroDivisionError
    assert children() == before
    assert not listens(found.aws)


def test_a_port_that_is_taken_is_one_line_and_leaves_nothing_running():
    before = children()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(LocalError, match=f"port {port} .* is taken") as refused, embedded(Ports(aws=port)):
            pass
    assert "\n" not in str(refused.value)
    assert children() == before


def test_a_service_that_does_not_come_up_is_one_line_and_leaves_nothing():
    before = children()
    with pytest.raises(LocalError, match="did not come up") as refused, embedded(ready_seconds=0.0):
        pass
    assert "\n" not in str(refused.value)
    assert children() == before


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_however_the_command_ends_its_services_end_with_it(number):
    ports = (port_for(None), port_for(None))
    command = [sys.executable, "-m", "cli", "up", "--port", str(ports[0]), "--opensearch-port", str(ports[1])]
    up = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert "Ctrl-C" in up.stdout.readline()
    started = [process.pid for process in psutil.Process(up.pid).children(recursive=True)]
    assert len(started) == 2
    os.kill(up.pid, number)
    up.communicate(timeout=10)
    until = time.monotonic() + 5
    while any(psutil.pid_exists(pid) for pid in started) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(psutil.pid_exists(pid) for pid in started)
