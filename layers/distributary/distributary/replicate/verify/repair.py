"""Wrong rows repaired as the branch writes: a mirror's reconciled one by one, those of several regions merged.

A repair knows of no change, so a row keeps the version that it has, with a random revision: any newer change wins. A
missing row is put as a snapshot, or at its tombstone's version if there is one. A dead row goes as by a delete just
newer than it. A row whose version is of a later generation is left: then this run was given the wrong one.

Afterwards both sides are looked at again, and what moved meanwhile is repaired again. What remains: a change that is
newer than the row, older than the item as it is now, and comes late (a redrive) overwrites a repaired row, if the
change that made the item as it is now never comes. So redrive what is parked first, then repair.
"""

from collections.abc import Callable
from typing import Any

from distributary.consumer.deadline import FOREVER
from distributary.consumer.outcome import Status
from distributary.consumer.reconcile import MOVING, Reconcile, Reconciler
from distributary.errors import Rejected, Unavailable
from distributary.replicate.reconcile import LATER
from distributary.replicate.verify.comparison import Comparator, Finding
from distributary.replicate.verify.table import Keys

TRIES = 3
"""An item that moves under its repair is repaired so often."""

Repair = Callable[[Keys], Any]
"""Repairs an item as it is now. Raises Unavailable, and Rejected for a row that the table refuses."""


def by_reconciling(reconciler: Reconciler) -> Repair:
    """Repairs of a mirror. What keeps moving, and what is of a later generation, is left."""

    def repair(keys: Keys) -> None:
        (end,) = reconciler([Reconcile(keys)], FOREVER)
        if end.status is Status.PARKED:
            raise Rejected(end.cause, end.detail)
        if end.status is Status.FAILED and end not in (MOVING, LATER):
            raise Unavailable(end.cause, end.detail)

    return repair


def repaired(comparator: Comparator, repair: Repair, finding: Finding) -> bool:
    """Whether both sides agree after the repair. What moved meanwhile is repaired anew."""
    for _ in range(TRIES):
        repair(finding.keys)
        if not comparator.again([finding.keys]).findings:
            return True
    return False
