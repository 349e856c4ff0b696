"""What a mapping does with a batch: pure decisions, apart from reading and invoking.

https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html and services-dynamodb-errors.html
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from local.esm.records import Record
from local.esm.settings import MappingSettings

PAYLOAD_BYTES = 6 * 1024 * 1024
RETENTION_SECONDS = 24 * 3600
"""How long a DynamoDB stream keeps a record:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html"""
_ENVELOPE_BYTES = len(b'{"Records":[]}')

EXHAUSTED = "RetryAttemptsExhausted"
TOO_OLD = "RecordAgeExceeded"


@dataclass(frozen=True, slots=True)
class Batch:
    """Records to deliver together, in order. `invocations` counts what they have been through, `retries` what of it
    uses up MaximumRetryAttempts: splitting does not, nor do `throttles`, the refusals since the last invocation."""

    records: tuple[Record, ...]
    retries: int = 0
    invocations: int = 0
    throttles: int = 0


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows from an answer: `done` is behind the checkpoint, `again` is delivered next and in this order,
    `discarded` goes to the OnFailure destination."""

    done: tuple[Record, ...] = ()
    again: tuple[Batch, ...] = ()
    discarded: tuple[Record, ...] = ()
    retried: bool = False
    bisected: bool = False


def ready(sizes: Sequence[int], waited: float, settings: MappingSettings) -> int:
    """How many of the waiting records make a batch now; 0 = wait for more.

    Lambda invokes when the batch or its 6 MB are full, or the window is over.
    """
    total = _ENVELOPE_BYTES
    for count, size in enumerate(sizes[: settings.batch_size]):
        total += size + 1
        if total > PAYLOAD_BYTES:
            return max(count, 1)
    if len(sizes) >= settings.batch_size:
        return settings.batch_size
    return len(sizes) if waited >= settings.window else 0


def expired(batch: Batch, now: float, settings: MappingSettings) -> tuple[tuple[Record, ...], Batch]:
    """The leading records that are too old to be delivered, and the batch without them.

    Without a limit of its own, a mapping retries until the record leaves the stream. A record that does not say when
    it was made (only a test makes one) is never too old.
    """
    limit = RETENTION_SECONDS if settings.record_age < 0 else min(settings.record_age, RETENTION_SECONDS)
    live = next(
        (i for i, record in enumerate(batch.records) if not record.created or now - record.created <= limit),
        len(batch.records),
    )
    return batch.records[:live], replace(batch, records=batch.records[live:])


def decide(batch: Batch, failed_at: int | None, settings: MappingSettings) -> Decision:
    """What follows when the records from `failed_at` on failed (None = none did, 0 = all, as by a function's error).

    A failure in the midst moves the checkpoint there. With bisect that is the split, and uses up no retry. A batch that
    failed from its first record on is split in halves, down to single records, and then retried.
    """
    if failed_at is None:
        return Decision(done=batch.records)
    done, left = batch.records[:failed_at], batch.records[failed_at:]
    rest = replace(batch, records=left, invocations=batch.invocations + 1, throttles=0)
    if settings.bisect and done:
        return Decision(done=done, again=(rest,), bisected=True)
    if settings.bisect and len(left) > 1:
        half = (len(left) + 1) // 2
        halves = (replace(rest, records=left[:half]), replace(rest, records=left[half:]))
        return Decision(again=halves, bisected=True)
    if 0 <= settings.retries <= batch.retries:
        return Decision(done=done, discarded=left)
    return Decision(done=done, again=(replace(rest, retries=batch.retries + 1),), retried=True)
