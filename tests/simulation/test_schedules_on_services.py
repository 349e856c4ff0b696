"""Schedules on a DynamoDB that runs: ministack, and DynamoDB Local where `DYNAMODB_LOCAL_URL` points at one."""

import uuid
from typing import Any

import boto3
import pytest

from tests.contract.world import create_table
from tests.fakes.built import DERIVED
from tests.simulation.schedules import Schedule

MANY = 24


@pytest.fixture
def service(dynamodb_url) -> Any:
    """To DynamoDB Local a new access key is a new database; it must be alphanumeric."""
    return boto3.client(
        "dynamodb",
        endpoint_url=dynamodb_url,
        region_name="eu-west-1",
        aws_access_key_id=f"key{uuid.uuid4().hex}",
        aws_secret_access_key="test",
    )


@pytest.mark.parametrize("seed", range(MANY))
def test_the_views_equal_a_plain_recomputation(service, seed):
    prefix = f"s{uuid.uuid4().hex[:8]}-"
    for name, schema in DERIVED.items():
        create_table(service, f"{prefix}{name}", schema)
    Schedule(seed, service, prefix).run()
