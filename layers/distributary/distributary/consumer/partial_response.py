"""What a function's partial batch response reports.

https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
"""

from collections.abc import Sequence
from typing import Any


def first_failure(identifiers: Sequence[str], payload: Any) -> int | None:
    """The place of the first record that a partial batch response reports; None if everything succeeded.

    Nothing reported ([], null, {}) is success. An empty, null or unknown identifier fails the whole batch.
    """
    if payload is None:
        return None
    if not isinstance(payload, dict):
        return 0
    reported = payload.get("batchItemFailures")
    if reported is None or reported == []:
        return None
    if not isinstance(reported, list):
        return 0
    places: dict[str, int] = {}
    for place, identifier in enumerate(identifiers):
        places.setdefault(identifier, place)
    failed = [_place(each, places) for each in reported]
    return min(0 if place is None else place for place in failed)


def _place(reported: Any, places: dict[str, int]) -> int | None:
    identifier = reported.get("itemIdentifier") if isinstance(reported, dict) else None
    return places.get(identifier) if isinstance(identifier, str) and identifier else None
