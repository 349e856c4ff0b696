"""The branches that keep the contract, and the books that every invocation must leave in order."""

import json
from collections.abc import Iterator

import pytest

from tests.contract import world as worlds
from tests.contract.branches import HARNESSES
from tests.contract.harness import Harness
from tests.contract.source import SENTINELS

ENDS = ("Applied", "Superseded", "Ignored", "Parked", "Failed")


@pytest.fixture(params=HARNESSES, ids=lambda harness: harness.name)
def harness(request) -> Harness:
    return request.param


@pytest.fixture
def imagine():
    """Makes a world on fakes for a source."""
    return lambda source: worlds.in_memory(source.table)


@pytest.fixture(params=["imagined", "emulated"])
def anywhere(request):
    """Makes a world for a source, on fakes and then on the emulators, which hold the fakes to their word."""
    if request.param == "imagined":
        return lambda source: worlds.in_memory(source.table)
    endpoints = request.getfixturevalue("emulators")
    return lambda source: worlds.emulated(source.table, endpoints)


@pytest.fixture(autouse=True)
def books(request, monkeypatch, capsys) -> Iterator[None]:
    """Of every invocation of every test: Received is the sum of the outcomes, and no output at INFO holds anything
    of an item's content."""
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Distributary")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", request.node.nodeid)
    monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", "INFO")
    yield
    said = capsys.readouterr()
    for sentinel in SENTINELS:
        assert sentinel not in said.out + said.err
    for line in said.out.splitlines():
        entry = json.loads(line)
        if "_aws" in entry:
            assert entry["Received"] == [sum(entry[end][0] for end in ENDS)]
