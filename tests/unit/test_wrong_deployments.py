"""What a deployment got wrong is no change's fault: changes fail until it is mended, and none is parked for it."""

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ReadTimeoutError,
)

from distributary.consumer.aws import (
    NO_CREDENTIALS,
    NO_REGION,
    classify,
    code_of,
    how_to_reach,
    nothing_answers,
    why_no_client,
    why_no_table,
)
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Status
from distributary.errors import Rejected, Unavailable
from distributary.index.opensearch.bulk import Action, Bulk

OF_ANOTHER_KEY = [
    "The provided key element does not match the schema",
    "One or more parameter values were invalid: Missing the key pk in the item",
    "One or more parameter values were invalid: Type mismatch for key user_id expected: N actual: S",
]


def refused(message):
    return ClientError({"Error": {"Code": "ValidationException", "Message": message}}, "PutItem")


@pytest.mark.parametrize("message", OF_ANOTHER_KEY)
def test_a_table_with_another_key_fails_the_change_and_says_the_mend(message):
    found = classify(refused(message), "row put_item")
    assert isinstance(found, Unavailable)
    assert "another key" in str(found)


def test_an_item_that_is_too_large_is_rejected():
    assert isinstance(classify(refused("Item size has exceeded the maximum allowed size"), "row put_item"), Rejected)


def test_an_error_that_nobody_can_fix_names_no_fix():
    busy = ClientError({"Error": {"Code": "ThrottlingException", "Message": "slow down"}}, "PutItem")
    assert str(classify(busy, "row PutItem")) == "row PutItem: ThrottlingException"


@pytest.mark.parametrize(
    ("error", "fix"),
    [
        (NoRegionError(), NO_REGION),
        (NoCredentialsError(), NO_CREDENTIALS),
        (EndpointConnectionError(endpoint_url="http://here:1/"), nothing_answers("http://here:1")),
        (ConnectTimeoutError(endpoint_url="http://here:1/"), nothing_answers("http://here:1")),
        (ReadTimeoutError(endpoint_url="http://here:1/"), ""),
        (refused("no"), ""),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_command_that_reaches_no_service_says_what_to_set(error, fix):
    assert how_to_reach(error) == fix
    assert why_no_client(error) == (fix or str(error))
    assert why_no_table("users", error).startswith(f"table users: {fix or code_of(error)}")
    assert why_no_table("users", error, "eu-west-1").startswith(f"table users in eu-west-1: {fix or code_of(error)}")


class Answering:
    """A node that refuses every document in the same way."""

    def __init__(self, kind, within="_doc"):
        self._error = {"type": kind, "reason": f"dynamic introduction of [x] within [{within}] is not allowed"}

    def bulk(self, **_):
        return {"items": [{"index": {"status": 400, "error": self._error}}]}


@pytest.mark.parametrize(
    ("kind", "mend"),
    [("strict_dynamic_mapping_exception", "distributary index apply"), ("index_closed_exception", "open the index")],
)
def test_an_index_that_is_not_as_declared_fails_the_document_and_says_the_mend(kind, mend):
    (end,) = Bulk(Answering(kind)).send([Action("a", b"{}\n{}\n")], Deadline(float("inf")))
    assert end.status is Status.FAILED
    assert mend in end.cause


@pytest.mark.parametrize(
    "node", [Answering("mapper_parsing_exception"), Answering("strict_dynamic_mapping_exception", "settings")]
)
def test_a_document_that_does_not_fit_its_mapping_is_parked(node):
    (end,) = Bulk(node).send([Action("a", b"{}\n{}\n")], Deadline(float("inf")))
    assert end.status is Status.PARKED
