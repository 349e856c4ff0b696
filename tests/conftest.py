"""The services that tests share: the embedded ones, and a real OpenSearch node if there is one."""

import gc
import os
from collections.abc import Generator, Iterator
from functools import cache

import pytest
from botocore.loaders import create_loader
from hypothesis import HealthCheck, settings

from local.emulators import Endpoints, embedded
from tests import selection

HARNESSES = ("both", "derive", "derive_ledger", "index", "replicate", "welcome")
pytest.register_assert_rewrite(*(f"tests.contract.{each}" for each in HARNESSES))

REPEATABLE = {"deadline": None, "derandomize": True, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("whole", max_examples=selection.WHOLE, **REPEATABLE)
settings.register_profile("sample", max_examples=selection.SAMPLE, **REPEATABLE)
settings.load_profile("whole")


@pytest.fixture(scope="session")
def emulators() -> Iterator[Endpoints]:
    with embedded() as endpoints:
        yield endpoints


@pytest.fixture(autouse=True, scope="session")
def read_once() -> Iterator[None]:
    """Botocore finds and reads its descriptions of services again for every session; here all sessions share them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.session.create_loader", cache(create_loader))
        yield


DYNAMODBS = ["ministack", *(["dynamodb-local"] if os.environ.get("DYNAMODB_LOCAL_URL") else [])]


@pytest.fixture(scope="session", params=DYNAMODBS)
def dynamodb_url(request, emulators: Endpoints) -> str:
    """A DynamoDB that runs: the embedded one, and Amazon's DynamoDB Local where `DYNAMODB_LOCAL_URL` points at one."""
    return emulators.aws if request.param == "ministack" else os.environ["DYNAMODB_LOCAL_URL"]


@pytest.fixture(scope="session")
def opensearch_url() -> str:
    """A node on which tests may make indexes (make test-opensearch)."""
    return os.environ["OPENSEARCH_URL"]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Without a node, what needs one is no part of the run. See `selection` for the two parts."""
    selection.mark(items)
    if os.environ.get("OPENSEARCH_URL"):
        return
    without = [item for item in items if item.get_closest_marker("opensearch")]
    config.hook.pytest_deselected(items=without)
    items[:] = [item for item in items if item not in set(without)]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """What is collected stays. Python's collector need not walk through it again and again: neither meanwhile nor
    later, when a pass over all of it would take longer than some invocations have time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000)
        gc.enable()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """The order of the tests, so that it can be repeated: pytest's own header is not shown with -q."""
    seed = config.getoption("randomly_seed", None)
    if isinstance(seed, int):
        terminalreporter.write_line(f"order of the tests: --randomly-seed={seed}")
