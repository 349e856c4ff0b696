"""Every received change comes to one end, in the metrics too; the fixture `books` sees to it in all other tests."""

import json

import pytest

from tests.contract.harness import deploy
from tests.contract.histories import at_random
from tests.contract.lambda_service import invoke
from tests.fakes.faults import Faults

COUNTS = ("Received", "Applied", "Superseded", "Ignored", "Parked", "Failed")


def metrics(capsys):
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    return [{name: line[name][0] for name in COUNTS} for line in lines if "_aws" in line]


@pytest.mark.parametrize("seed", range(4))
def test_received_is_the_number_of_records_and_the_sum_of_what_became_of_them(harness, imagine, capsys, seed):
    source = at_random(seed)
    source.put(5, **harness.rejected)
    poison = {"eventSource": "aws:dynamodb", "sentinel": "sentinel"}
    batch = [*source.records, poison, "sentinel", *source.records[:3]]
    world, faults = imagine(source), Faults()
    harness.inject_faults(world, faults, source, 0)
    deployment = deploy(harness, world, faults)
    invoke(deployment, batch, (harness.begins_with + 0.5) * 4 / 3)
    (counts,) = metrics(capsys)
    assert counts.pop("Received") == len(batch) == sum(counts.values())
    assert counts["Parked"] == len(world.parked(harness.name)) == 3


def test_the_second_time_nothing_is_news(harness, imagine, capsys):
    """Nothing is applied twice, but for documents: at the same version OpenSearch writes the same document again."""
    source = at_random(3)
    world = imagine(source)
    for _ in range(2):
        assert invoke(deploy(harness, world), source.records) is None
    first, second = metrics(capsys)
    assert first["Received"] == second["Received"]
    assert second["Applied"] == (first["Applied"] if harness.name in ("index", "both") else 0)
