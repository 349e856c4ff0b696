"""What the console's server answers, put together for attached functions."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from starlette.applications import Starlette

from cli.console import contents, kept, lanes, life, parked, record, requests, trying
from cli.console.attached import Attached
from cli.console.downstream import Downstream
from cli.console.history import Seen
from cli.console.mails import Mails
from cli.console.operated import Operated
from cli.console.parked import Redrives
from cli.console.server import Answer, application
from cli.console.serving import served

PAGE = 100
"""Changes of one page."""


def reads(attached: Attached, mails: Mails, redrives: Redrives) -> dict[str, Answer]:
    """What only looks, beside attached functions."""
    return {
        **_downstream(attached, mails, redrives),
        "/summary": lambda _: lanes.summary(attached),
        "/changes": lambda asked: _changes(attached, asked),
        "/change": lambda asked: record.record(attached, _seen(attached, asked)),
        "/try": lambda _: trying.possible(attached),
        "/requests": lambda asked: requests.requests(attached, _seen(attached, asked), asked.get("all") == "yes"),
    }


def reads_of_stack(operated: Operated, mails: Mails, redrives: Redrives) -> dict[str, Answer]:
    """What only looks, at a deployed stack."""
    return {
        **_downstream(operated, mails, redrives),
        "/summary": lambda _: operated.summary(),
        "/status": operated.status,
        "/trace": operated.trace,
    }


def _downstream(downstream: Downstream, mails: Mails, redrives: Redrives) -> dict[str, Answer]:
    return {
        "/key": lambda asked: life.life(downstream, mails, *life.key_of(downstream, asked)),
        "/kept": lambda asked: {"kept": list(kept.kept(downstream, *life.key_of(downstream, asked)))},
        "/parked": lambda _: {**parked.groups(downstream), "redrive": redrives.state()},
        "/redrive": lambda _: redrives.state(),
        "/contents": lambda _: contents.declared(downstream),
        "/rows": lambda asked: contents.rows(downstream, asked),
        "/group": lambda asked: contents.group(downstream, asked),
        "/documents": lambda asked: contents.search(downstream, asked),
    }


def acts(downstream: Downstream, redrives: Redrives) -> dict[str, Answer]:
    """What has functions write, or deletes what they parked."""
    return {
        "/reconcile": lambda asked: parked.reconcile(downstream, asked),
        "/redrive": redrives.start,
        "/forget": lambda asked: parked.forget(downstream, asked),
    }


def writes(attached: Attached, redrives: Redrives) -> dict[str, Answer]:
    """What does something beside attached functions."""
    return {
        **acts(attached, redrives),
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


@contextmanager
def operated(stack: Operated, port: int | None = None) -> Iterator[str]:
    """The link to the pages of a deployed stack, while the block runs. Raises LocalError if the port is taken."""

    def made(token: str, hosts: list[str]) -> Starlette:
        mails, redrives = Mails(), Redrives(stack)
        writes = acts(stack, redrives) if stack.acts else {}
        return application(reads_of_stack(stack, mails, redrives), writes, stack.summary, mails.endpoint, token, hosts)

    with served(made, port) as link:
        yield link
