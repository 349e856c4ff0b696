"""A stream's shards: which there are, which may be read, and what is in one."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from local.esm.data_stream import sequence_of

_PAGE = 1000
_PERMANENT = {
    "AccessDeniedException",
    "ResourceNotFoundException",
    "UnrecognizedClientException",
    "ValidationException",
}


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard, its parent if it has one, and whether it still grows."""

    shard_id: str
    parent: str | None
    open: bool


def discover(client: Any, stream_arn: str) -> list[Shard]:
    """All shards that the stream still knows."""
    shards: list[Shard] = []
    request = {"StreamArn": stream_arn}
    while True:
        page = client.describe_stream(**request)["StreamDescription"]
        for each in page["Shards"]:
            is_open = "EndingSequenceNumber" not in each.get("SequenceNumberRange", {})
            shards.append(Shard(each["ShardId"], each.get("ParentShardId"), is_open))
        if not page.get("LastEvaluatedShardId"):
            return shards
        request["ExclusiveStartShardId"] = page["LastEvaluatedShardId"]


def readable(shards: Sequence[Shard], finished: Collection[str], begun: Collection[str] = ()) -> list[Shard]:
    """The shards whose turn it is: a parent is finished before its children begin, or its child would overtake it.

    `begun` are those that are being read: one of them may still deliver what the stream has forgotten.
    """
    known = {*begun, *(shard.shard_id for shard in shards)}
    return [
        shard
        for shard in shards
        if shard.shard_id not in finished and (shard.parent not in known or shard.parent in finished)
    ]


def permanent(error: Exception) -> bool:
    """Whether reading a stream will not succeed later either."""
    return isinstance(error, ClientError) and error.response["Error"]["Code"] in _PERMANENT


def missing(error: Exception) -> bool:
    """Whether what was asked for does not exist: the stream, or a shard that it has forgotten."""
    return isinstance(error, ClientError) and error.response["Error"]["Code"] == "ResourceNotFoundException"


class ShardReader:
    """Reads one shard from a place on, and carries on after what the service forgets: iterators live five minutes and
    records a day. `gaps` counts how often records were gone before they were read."""

    def __init__(self, client: Any, stream_arn: str, shard_id: str, starting_position: str) -> None:
        self._client, self._arn, self._shard = client, stream_arn, shard_id
        self._start = starting_position
        self._after: str | None = None
        self._iterator: str | None = None
        self.ended = False
        self.gaps = 0

    def rewind(self, after: str | None) -> None:
        """Reads on after this sequence number; None = from the oldest record."""
        self._after, self._iterator, self._start, self.ended = after, None, "TRIM_HORIZON", False

    def end(self) -> None:
        """Nothing more can be read. What was not read yet is a gap."""
        self.gaps += int(not self.ended)
        self.ended = True

    def read(self) -> list[dict[str, Any]]:
        """The next records; none when caught up. `ended` is set behind the last record of a closed shard."""
        if self.ended:
            return []
        try:
            if self._iterator is None:
                self._iterator = self._fresh_iterator()
            page = self._client.get_records(ShardIterator=self._iterator, Limit=_PAGE)
        except ClientError as error:
            self._recover(error)
            return []
        self._iterator = page.get("NextShardIterator")
        self.ended = self._iterator is None
        records: list[dict[str, Any]] = page["Records"]
        if records:
            self._after = sequence_of(records[-1])
        return records

    def _fresh_iterator(self) -> str:
        place = {"ShardIteratorType": self._start}
        if self._after is not None:
            place = {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": self._after}
        answer = self._client.get_shard_iterator(StreamArn=self._arn, ShardId=self._shard, **place)
        return str(answer["ShardIterator"])

    def _recover(self, error: ClientError) -> None:
        code = error.response["Error"]["Code"]
        if code == "ExpiredIteratorException":
            self._iterator = None
        elif code == "TrimmedDataAccessException":
            self.rewind(None)
            self.gaps += 1
        else:
            raise error
