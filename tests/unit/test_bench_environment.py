"""What the benchmarks set for a function is all that it asks for, so that a new setting does not stop `make bench`."""

import pytest

from bench import bytes
from bench.derive import ENVIRONMENT
from bench.lambda_sides import SIDES
from bench.mirrors import environment
from distributary.replicate.settings import ReplicateSettings


def test_replicate_s_settings_are_complete():
    assert ReplicateSettings.load({**ENVIRONMENT, **environment("users")}).replica_table == "users"


@pytest.mark.parametrize("side", SIDES)
def test_every_side_answers_the_bytes_of_an_event(side):
    assert bytes.run(side, "0.9 KB", 5)["us"] > 0
