"""The environment that Lambda would give to every unit test."""

import pytest


@pytest.fixture(autouse=True)
def lambda_environment(monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Distributary")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "derive")
    monkeypatch.setenv("POWERTOOLS_LOG_LEVEL", "INFO")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
