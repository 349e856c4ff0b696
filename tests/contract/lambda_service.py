"""What Lambda does with a function: delivers a batch, hears what failed, delivers from there on again."""

from collections.abc import Callable, Sequence
from typing import Any

from distributary.consumer.consume import Deployment, consume
from tests.contract.source import Record
from tests.contract.world import World
from tests.fakes.faults import Crash

ATTEMPTS = 12
BETWEEN_ATTEMPTS = 60.0


class Context:
    """Lambda's context object, with a fixed time left."""

    aws_request_id = "8f5b1d1e-0c6a-4b8e-9a51-111122223333"

    def __init__(self, seconds: float = 30.0) -> None:
        self._seconds = seconds

    def get_remaining_time_in_millis(self) -> int:
        """See `deadline.Context`."""
        return int(self._seconds * 1000)


def invoke(deployment: Deployment, records: Sequence[Any], seconds: float = 30.0) -> str | None:
    """One delivery: the identifier that was answered, None for success."""
    failures = consume({"Records": list(records)}, Context(seconds), deployment)["batchItemFailures"]
    return failures[0]["itemIdentifier"] if failures else None


def drain(world: World, deployment: Deployment, records: Sequence[Record]) -> int:
    """Delivers until nothing failed, each time from the checkpoint on; how often it took."""
    waiting = list(records)
    for attempt in range(1, ATTEMPTS + 1):
        failed = invoke(deployment, waiting)
        if failed is None:
            return attempt
        waiting = from_checkpoint(waiting, failed)
        world.clock += BETWEEN_ATTEMPTS
    raise AssertionError(f"still failing after {ATTEMPTS} deliveries: {failed}")


def from_checkpoint(records: Sequence[Record], identifier: str) -> list[Record]:
    """What comes again. An identifier that the batch does not hold makes all of it come again."""
    places = [at for at, record in enumerate(records) if identifier in _identifiers(record)]
    return list(records[places[0] :] if places else records)


def _identifiers(record: Record) -> tuple[Any, Any]:
    return record.get("dynamodb", {}).get("SequenceNumber"), record.get("eventID")


def crashes(call: Callable[[], Any]) -> bool:
    """Whether the call ends the function's process."""
    try:
        call()
    except Crash:
        return True
    return False
