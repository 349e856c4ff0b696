"""The one outcome of every received change."""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

from distributary.errors import DistributaryError, Rejected, Unavailable


class Status(StrEnum):
    """Conservation: received = applied + superseded + ignored + parked + failed + deferred. A deferred change has ended
    for the delivery, and is kept in S3 until its branch has taken it; see `distributary.trunk`."""

    APPLIED = "Applied"
    SUPERSEDED = "Superseded"
    IGNORED = "Ignored"
    PARKED = "Parked"
    FAILED = "Failed"
    DEFERRED = "Deferred"


class Outcome(NamedTuple):
    """`cause` is safe to log; `detail` may quote the item and goes only into the parked object. `metric` names a count
    of the branch's own that this change adds to, beside its status."""

    status: Status
    cause: str = ""
    detail: str = ""
    metric: str = ""


APPLIED = Outcome(Status.APPLIED)
SUPERSEDED = Outcome(Status.SUPERSEDED)
IGNORED = Outcome(Status.IGNORED)
TIED = Outcome(Status.SUPERSEDED, metric="Tied")
"""What exists has the change's very version, which is a time, and other content; see `consumer.ties`."""


def parked(error: DistributaryError) -> Outcome:
    """The change will never succeed as it is."""
    return Outcome(Status.PARKED, str(error), error.detail)


def failed(error: DistributaryError) -> Outcome:
    """The change may succeed when Lambda delivers it again."""
    return Outcome(Status.FAILED, str(error), error.detail)


def of(result: Outcome | DistributaryError) -> Outcome:
    """Of what a call returned or raised. Raises an error that is of the deployment and of no change."""
    match result:
        case Outcome():
            return result
        case Rejected():
            return parked(result)
        case Unavailable():
            return failed(result)
    raise result


_FOREMOST = (Status.FAILED, Status.DEFERRED, Status.PARKED, Status.APPLIED, Status.SUPERSEDED, Status.IGNORED)


def combine(ends: Iterable[Outcome]) -> Outcome:
    """The outcome of a change that several writes served: the one that asks most of the caller; none is ignored. A
    metric of any of them is kept."""
    found = list(ends)
    if len(found) == 1:
        return found[0]
    foremost = min(found, key=lambda end: _FOREMOST.index(end.status), default=IGNORED)
    metric = next((end.metric for end in found if end.metric), "")
    return foremost if foremost.metric == metric else foremost._replace(metric=metric)
