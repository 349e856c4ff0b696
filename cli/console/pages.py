"""What the console's server answers, put together for attached functions."""

import json
from collections.abc import Mapping
from typing import Any

from cli.console import contents, kept, lanes, life, parked, record, requests, trying
from cli.console.attached import Attached
from cli.console.history import Seen
from cli.console.mails import Mails
from cli.console.parked import Redrives
from cli.console.server import Answer

PAGE = 100
"""Changes of one page."""


def reads(attached: Attached, mails: Mails, redrives: Redrives) -> dict[str, Answer]:
    """What only looks."""
    return {
        "/summary": lambda _: lanes.summary(attached),
        "/changes": lambda asked: _changes(attached, asked),
        "/change": lambda asked: record.record(attached, _seen(attached, asked)),
        "/key": lambda asked: life.life(attached, mails, *life.key_of(attached, asked)),
        "/kept": lambda asked: {"kept": list(kept.kept(attached, *life.key_of(attached, asked)))},
        "/parked": lambda _: {**parked.groups(attached), "redrive": redrives.state()},
        "/redrive": lambda _: redrives.state(),
        "/contents": lambda _: contents.declared(attached),
        "/rows": lambda asked: contents.rows(attached, asked),
        "/group": lambda asked: contents.group(attached, asked),
        "/documents": lambda asked: contents.search(attached, asked),
        "/try": lambda _: trying.possible(attached),
        "/requests": lambda asked: requests.requests(attached, _seen(attached, asked), asked.get("all") == "yes"),
    }


def writes(attached: Attached, redrives: Redrives) -> dict[str, Answer]:
    """What does something."""
    return {
        "/reconcile": lambda asked: parked.reconcile(attached, asked),
        "/redrive": redrives.start,
        "/try/rewind": lambda asked: trying.rewind(attached, asked),
        "/try/duplicate": lambda asked: trying.duplicate(attached, _seen(attached, asked)),
        "/try/fault": lambda asked: trying.fault(attached, asked),
        "/try/clear": lambda asked: trying.clear(attached, asked),
        "/try/put": lambda asked: trying.put(attached, asked),
        "/try/delete": lambda asked: trying.delete(attached, asked),
        "/try/check": lambda _: trying.converged(attached),
    }


def _changes(attached: Attached, asked: Mapping[str, Any]) -> dict[str, Any]:
    """The newest changes that all filters let through: part of a key, kind, entity, branch and outcome."""
    before = int(asked["before"]) if asked.get("before") else None
    found, more = attached.history.page(before, PAGE, lambda seen: _wanted(attached, seen, asked))
    return {"changes": found, "before": more}


def _wanted(attached: Attached, seen: Seen, asked: Mapping[str, Any]) -> bool:
    if (kind := asked.get("kind")) and seen.kind != kind:
        return False
    if (key := asked.get("key")) and key.casefold() not in seen.key.casefold():
        return False
    if (outcome := asked.get("outcome")) and not any(
        fate.outcome == outcome for branch, fate in seen.fates.items() if asked.get("branch") in ("", None, branch)
    ):
        return False
    entities = attached.entities(seen)
    return not (entity := asked.get("entity")) or entity in entities


def _seen(attached: Attached, asked: Mapping[str, Any]) -> Seen:
    event = str(asked.get("event", ""))
    seen = attached.history.find(event)
    if seen is None:
        kept = attached.history.size()["kept"]
        raise LookupError(f"the change {json.dumps(event)} is not among the last {kept} that the console remembers")
    return seen
