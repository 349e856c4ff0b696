"""Batches that Lambda gave up, as it writes them into a stack's bucket."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

PREFIX = "aws/lambda/"
"""Of their objects (https://docs.aws.amazon.com/lambda/latest/dg/services-dynamodb-errors.html)."""


def parsed(text: str | bytes) -> Any:
    """JSON, or None if it is none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def event_of(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The event of such an object, whose payload is text or JSON; empty if it holds none."""
    payload = found.get("payload")
    event = parsed(payload) if isinstance(payload, str) else payload
    return event if isinstance(event, Mapping) else {}


def records_of(event: Mapping[str, Any]) -> Sequence[Any]:
    """Its records; none if it is no stream's event."""
    records = event.get("Records")
    return records if isinstance(records, list) else []
