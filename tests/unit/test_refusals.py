"""Each refusal has its one outcome; what no document is to blame for is never parked."""

import pytest

from distributary.index.opensearch.bulk_errors import UNKNOWN_HOST, UNTRUSTED, end, of_item

SENTINEL = "sentinel"


@pytest.mark.parametrize(
    ("status", "kind", "reason", "outcome", "again", "busy", "cause"),
    [
        (200, "", "", "Applied", False, False, ""),
        (201, "", "", "Applied", False, False, ""),
        (409, "version_conflict_engine_exception", "", "Superseded", False, False, ""),
        (400, "mapper_parsing_exception", "", "Parked", False, False, "mapper_parsing_exception"),
        (400, "illegal_argument_exception", "immense term", "Parked", False, False, "400"),
        (400, "illegal_argument_exception", "Limit of total fields [1000]", "Parked", False, False, "400"),
        (413, "request", "", "Parked", False, False, "413"),
        (429, "rejected_execution_exception", "", "Failed", True, True, "429"),
        (500, "exception", "", "Failed", True, False, "500"),
        (502, "", "", "Failed", True, False, "502"),
        (503, "unavailable_shards_exception", "", "Failed", True, False, "503"),
        (503, "cluster_block_exception", "no master", "Failed", True, False, "503"),
        (504, "", "", "Failed", True, False, "504"),
        (0, "ReadTimeoutError", "", "Failed", True, False, "nothing"),
        (401, "", "", "Failed", False, False, "check the credentials"),
        (403, "security_exception", "", "Failed", False, False, "grant the function's role"),
        (403, "cluster_block_exception", "read-only", "Failed", False, False, "blocked for writing"),
        (429, "cluster_block_exception", "flood-stage", "Failed", False, False, "free disk space"),
        (404, "index_not_found_exception", "", "Failed", False, False, "distributary index apply"),
        (400, "index_closed_exception", "", "Failed", False, False, "open the index"),
        (0, UNKNOWN_HOST, "", "Failed", False, False, "correct OpenSearchEndpoint"),
        (0, UNTRUSTED, "", "Failed", False, False, "trusted certificate"),
        (400, "illegal_argument_exception", "pipeline with id [x] does not exist", "Failed", False, False, "pipeline"),
        (
            400,
            "illegal_argument_exception",
            "explicit index in bulk is not allowed",
            "Failed",
            False,
            False,
            "explicit",
        ),
        (400, "illegal_argument_exception", "no write index is defined for alias [x]", "Failed", False, False, "alone"),
        (400, "illegal_argument_exception", "Document ID is not supported in", "Failed", False, False, "collection"),
    ],
)
def test_a_refusal_has_its_outcome_and_says_its_mend(status, kind, reason, outcome, again, busy, cause):
    found = end(status, kind, reason, SENTINEL)
    assert (found.outcome.status.value, found.again, found.busy) == (outcome, again, busy)
    assert cause in found.outcome.cause
    assert SENTINEL not in found.outcome.cause


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("mapper_parsing_exception", "pipeline with id [x] does not exist"),
        ("illegal_argument_exception", "failed on 'pipeline with id [x] does not exist'"),
        ("illegal_argument_exception", "failed on 'explicit index in bulk is not allowed'"),
        ("illegal_argument_exception", "failed on 'Document ID is not supported'"),
        (
            "strict_dynamic_mapping_exception",
            "mapping set to strict, dynamic introduction of [x] within [settings.y] within [_doc] is not allowed",
        ),
        (
            "strict_dynamic_mapping_exception",
            "mapping set to strict, dynamic introduction of [x] within [settings.dynamic introduction of [x] within "
            "[_doc] is not allowed",
        ),
    ],
)
def test_what_an_item_holds_cannot_make_of_its_own_fault_one_of_the_deployment(kind, reason):
    """Such a change would hold up its shard instead of being parked."""
    assert end(400, kind, reason).outcome.status.value == "Parked"


def test_what_opensearch_quotes_stands_in_the_detail_alone():
    error = {"type": "mapper_parsing_exception", "reason": f"failed to parse field [x]: '{SENTINEL}'"}
    found = of_item({"status": 400, "error": error}).outcome
    assert SENTINEL in found.detail
    assert SENTINEL not in found.cause
