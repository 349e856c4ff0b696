"""One total order over an item's changes: generation first, then position in the stream."""

import re

POSITION_DIGITS = 40
POSITIONS = 10**POSITION_DIGITS
GENERATION_DIGITS = 6
GENERATIONS = 10**GENERATION_DIGITS
TEXT_LENGTH = GENERATION_DIGITS + POSITION_DIGITS

SNAPSHOT_POSITION = 0
"""Where a scanned or exported item stands: every streamed change of its generation wins over it."""

FIRST_TIME, LAST_TIME = 10**15, 10**17
"""Positions from here to before there are times in microseconds, from the year 2001 on: 16 or 17 digits. A stream's
sequence numbers have at least 21."""

REVISION_MARK = "~"
RETIRED = "-"
"""The revision of a repair's tombstone: it sorts before every random one."""
KEPT, LIVE = "K", "L"
"""Marks behind the version of a row that outlives a delete by TTL: TTL took its item, or did not yet. A row without a
mark was written by release 0.1, or where no row outlives its item."""
_WRITTEN = re.compile(rf"[0-9]{{{TEXT_LENGTH}}}({REVISION_MARK}[0-9a-z-]+)?[{KEPT}{LIVE}]?")

_LEADING_DIGITS = 17
_LEADING_BITS = 57


def of(generation: int, position: int) -> int:
    """The version of a change: `generation * 10**40 + position`.

    `position` is the stream record's SequenceNumber as an integer (21 to 40 digits,
    https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_streams_StreamRecord.html); of a Kinesis data
    stream, the time of the change in microseconds since the epoch.
    """
    if not 0 <= generation < GENERATIONS:
        raise ValueError(f"generation {generation} is outside 0..{GENERATIONS - 1}")
    if not 0 <= position < POSITIONS:
        raise ValueError(f"a position has at most {POSITION_DIGITS} digits and no sign")
    return generation * POSITIONS + position


def position_of(version: int) -> int:
    """The position alone: the same in every generation."""
    return version % POSITIONS


def is_time(version: int) -> bool:
    """Whether the position is a time. Two changes of an item may then have one version: nothing tells their order, and
    what is right is read from the item."""
    return FIRST_TIME <= position_of(version) < LAST_TIME


def generation_of(version: int) -> int:
    """The generation alone."""
    return version // POSITIONS


def version_in(text: object) -> int | None:
    """The version in a text that `to_text` wrote, with or without revision and mark; None for anything else."""
    return from_text(text) if isinstance(text, str) and _WRITTEN.fullmatch(text) else None


def generation_in(text: object) -> int:
    """That of a version as `to_text` wrote it; one beyond all generations for anything else."""
    version = version_in(text)
    return GENERATIONS if version is None else generation_of(version)


def to_text(version: int, revision: str = "", mark: str = "") -> str:
    """Zero-padded to 46 characters, so that DynamoDB's string comparison is numeric comparison.

    A DynamoDB number would not do: it holds 38 digits, a sequence number may have 40. A repair keeps the version and
    appends `~` and a random `revision`: the text is then greater than the version's own and less than the next one's.
    So no two writes leave the same text, and a writer whose condition names the text sees every other writer. A `mark`
    at the end, `KEPT` or `LIVE`, sorts before every revision.
    """
    return f"{version:0{TEXT_LENGTH}d}{REVISION_MARK + revision if revision else ''}{mark}"


def from_text(text: str) -> int:
    """The version that `to_text` wrote, without its revision."""
    return int(text[:TEXT_LENGTH])


def mark_in(text: object) -> str:
    """The mark that `to_text` wrote; empty if there is none, and for anything else."""
    return text[-1] if isinstance(text, str) and version_in(text) is not None and text[-1] in (KEPT, LIVE) else ""


def to_external(version: int) -> int:
    """OpenSearch's external version in 63 bits: 6 for the count of the position's digits, 57 for the leading 17.

    Monotone: it never reverses two positions. Two that share length and leading 17 digits tie, and `external_gte`
    lets the later arrival win. The generation is left out: a generation is an index of its own.
    """
    digits = str(position_of(version))
    return len(digits) << _LEADING_BITS | int(digits[:_LEADING_DIGITS])


def from_external(external: int) -> int:
    """The least position whose external version is at least this one; the last of all if there is none, for a version
    that another program wrote."""
    digits, leading = external >> _LEADING_BITS, external & ((1 << _LEADING_BITS) - 1)
    return min(leading * 10 ** max(digits - _LEADING_DIGITS, 0), POSITIONS - 1)
