"""A random share of a table's segments, and what it says of the rest."""

import random
from math import comb

SEGMENT_ITEMS = 100
"""A sampled table is cut into segments of about so many items."""

MOST_SEGMENTS = 1_000_000
"""https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Scan.html (TotalSegments)"""

CONFIDENCE = 0.95


def segments_of(items: int) -> int:
    """Into how many segments a table of about so many items is cut."""
    return min(MOST_SEGMENTS, max(1, items // SEGMENT_ITEMS))


def drawn(share: float, segments: int, rng: random.Random) -> list[int]:
    """So large a share of the segments, at least one, each as likely as any other."""
    return rng.sample(range(segments), max(1, min(segments, round(share * segments))))


def at_most(read: int, segments: int) -> float:
    """If none of so many segments, drawn at random, holds a difference: with 95 % confidence no larger share of all
    segments does. Exact (hypergeometric), and of segments, not of items: the items of one key are neighbours."""
    low, high = 0, segments - read
    while low < high:
        middle = (low + high + 1) // 2
        missed = _missed(middle, read, segments)
        low, high = (middle, high) if missed > 1 - CONFIDENCE else (low, middle - 1)
    return low / segments


def _missed(bad: int, read: int, segments: int) -> float:
    """The chance that a sample has none of the bad segments in it."""
    if segments <= 2000:
        return comb(segments - bad, read) / comb(segments, read)
    chance = 1.0
    for each in range(min(bad, read)):
        chance *= 1 - max(bad, read) / (segments - each)
        if chance < 1e-6:
            break
    return chance
