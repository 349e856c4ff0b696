"""What every unit test stands on: quick, repeatable searches, and the environment that Lambda would give."""

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "unit", max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("unit")


@pytest.fixture(autouse=True)
def lambda_environment(monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Distributary")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "derive")
    monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", "INFO")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
