"""One thing that a doctor looked up: how it is, and how to fix it if it is wrong."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Level(StrEnum):
    """`NOTE` is worth reading and needs no change; `UNKNOWN` could not be looked up."""

    OK = "ok"
    NOTE = "note"
    FAULT = "fault"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Finding:
    """`fix` is empty where there is nothing to fix."""

    check: str
    level: Level
    found: str
    fix: str = ""

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {"check": self.check, "level": str(self.level), "found": self.found, "fix": self.fix}


def ok(check: str, found: str) -> Finding:
    """Nothing to fix."""
    return Finding(check, Level.OK, found)


def note(check: str, found: str, fix: str) -> Finding:
    """Right in some deployments, and worth knowing."""
    return Finding(check, Level.NOTE, found, fix)


def fault(check: str, found: str, fix: str) -> Finding:
    """The function would not work, or would do harm."""
    return Finding(check, Level.FAULT, found, fix)


def unknown(check: str, why: str, fix: str) -> Finding:
    """It could not be looked up."""
    return Finding(check, Level.UNKNOWN, why, fix)


def status(findings: Sequence[Finding]) -> int:
    """1 if there is a fault, else 2 if something is unknown, else 0."""
    levels = {each.level for each in findings}
    return 1 if Level.FAULT in levels else 2 if Level.UNKNOWN in levels else 0


def line(finding: Finding) -> str:
    """A finding for people, with how to fix it."""
    fix = f"\n{'':8} fix: {finding.fix}" if finding.fix else ""
    return f"{finding.level:<8} {finding.check}: {finding.found}{fix}"
