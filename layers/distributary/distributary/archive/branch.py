"""Every change of a batch in S3: one object for an invocation, or one for each hour that its changes are of."""

import gzip
from collections.abc import Sequence
from typing import Any

from distributary.archive.line import line, micros_of
from distributary.consumer import outcome as outcomes
from distributary.consumer.aws import AwsError, classify
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import APPLIED, IGNORED, Outcome
from distributary.errors import DistributaryError, Rejected, Unavailable
from distributary.readers.archive_layout import HOUR, data_prefix, hour_prefix, object_name
from distributary.stream import version as versions
from distributary.stream.change import Change, Origin
from distributary.stream.dynamodb_stream import table_of
from distributary.stream.struct import Struct

_LEVEL = 6
_UNNAMED = "the record has no eventSourceARN with a table's name, by which the archive is divided"

Part = tuple[str, int]
"""A table and the start of an hour: what an object is of."""


class ArchiveBranch(Struct, frozen=True):
    """An event branch: it keeps each change, never a state. Readers remove what was delivered twice."""

    s3: Any
    bucket: str

    def apply(self, changes: Sequence[Change], deadline: Deadline) -> list[Outcome]:
        """See `consume.Branch`. A snapshot is no change, and is ignored; a redriven record is archived."""
        ends: list[Outcome] = [IGNORED] * len(changes)
        parts: dict[Part, list[tuple[int, bytes]]] = {}
        for place, change in enumerate(changes):
            if change.origin is Origin.SNAPSHOT:
                continue
            try:
                part, text = _part(change), line(change)
            except Rejected as error:
                ends[place] = outcomes.parked(error)
                continue
            parts.setdefault(part, []).append((place, text))
        for part, lines in parts.items():
            end = self._put(part, [changes[place] for place, _ in lines], b"".join(text for _, text in lines), deadline)
            for place, _ in lines:
                ends[place] = end
        return ends

    def _put(self, part: Part, changes: Sequence[Change], body: bytes, deadline: Deadline) -> Outcome:
        """Whatever S3 says, the changes fail rather than park: none of them is to blame."""
        positions = [versions.position_of(change.version) for change in changes]
        name = object_name(min(positions), max(positions), body)
        table, hour = part
        try:
            deadline.check()
            # The checksum is what a bucket with Object Lock demands.
            self.s3.put_object(
                Bucket=self.bucket,
                Key=data_prefix(table) + hour_prefix(hour) + name,
                Body=gzip.compress(body, _LEVEL, mtime=0),
                ContentType="application/gzip",
                ChecksumAlgorithm="CRC32",
            )
        except AwsError as error:
            found: DistributaryError = classify(error, "archive PutObject")
            return outcomes.failed(Unavailable(str(found), found.detail))
        except Unavailable as error:
            return outcomes.failed(error)
        return APPLIED


def _part(change: Change) -> Part:
    table = table_of(change.source)
    if not table:
        raise Rejected(_UNNAMED)
    micros = micros_of(change)
    return table, micros - micros % HOUR
