"""What the benchmarks set for a function is all that it asks for, so that a new setting does not stop `make bench`."""

from bench.derive import ENVIRONMENT
from bench.mirrors import environment
from distributary.replicate.settings import ReplicateSettings


def test_replicate_s_settings_are_complete():
    assert ReplicateSettings.load({**ENVIRONMENT, **environment("users")}).replica_table == "users"
