"""When a group expires: by the time that its own key holds, never by its items or by the moment of a write.

A group is closed `MARGIN` before DynamoDB's TTL may remove its rows. From then on no change is counted in it: what the
ledger says of it stays as it is, and so does the group's row until TTL removes it. So a late change never makes a row
that shows a part of a group, whatever the clocks of two functions differ by.
"""

import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from distributary.derive.delta import Key
from distributary.errors import Rejected
from distributary.stream.codec import Value

MARGIN = 3600
"""Seconds. More than clocks differ by, and longer than a transaction takes that was decided before."""

VERIFIED = 3600
"""Seconds. A group that is closed within them is not verified: it may close while it is looked at, or built anew."""

_LATEST = 253_402_300_800
"""The year 10000; what is greater counts no seconds."""

_WEEK = re.compile(r"\d{4}-W\d{2}")
Until = Callable[[Key], int | None]
"""When a group's rows expire, in epoch seconds; None if never."""


def end_of(period: Value) -> int:
    """The end of a period, in epoch seconds: a year, month, week, day or hour as `date_trunc` writes it, of another
    zone than UTC by its offset or as if it were UTC; a time or a number of seconds is its own end. Raises Rejected."""
    try:
        return int(_end(period).timestamp()) if isinstance(period, str) else _seconds(period)
    except (ValueError, OverflowError):
        raise Rejected(f"period: {period!r} is no time; give a time, or a period as date_trunc writes it") from None


def closed(until: Until | None, groups: Collection[Key], now: float) -> frozenset[Key]:
    """Those of the groups that take no change any more at `now`."""
    if until is None:
        return frozenset()
    return frozenset(key for key in groups if (at := until(key)) is not None and at - MARGIN <= now)


def _seconds(period: Value) -> int:
    if isinstance(period, bool) or not isinstance(period, int | Decimal) or not 0 <= period < _LATEST:
        raise ValueError
    return int(period)


def _end(text: str) -> datetime:
    if re.fullmatch(r"\d{4}", text):
        return datetime(int(text) + 1, 1, 1, tzinfo=UTC)
    if re.fullmatch(r"\d{4}-\d{2}", text):
        year, month = int(text[:4]), int(text[5:])
        first = datetime(year, month, 1, tzinfo=UTC)
        return (first + timedelta(days=31)).replace(day=1)
    if _WEEK.fullmatch(text):
        return datetime.fromisoformat(f"{text}-1").replace(tzinfo=UTC) + timedelta(days=7)
    lasts = timedelta()
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
        lasts = timedelta(days=1)
    elif re.fullmatch(r"\d{4}-\d{2}-\d{2}T\d{2}([+-]\d{4})?", text):
        lasts = timedelta(hours=1)
    found = datetime.fromisoformat(text)
    return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)) + lasts
