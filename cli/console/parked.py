"""What is parked, by cause, and what gives it to its function again."""

import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cli.console.downstream import Downstream
from cli.parking import Chosen, deleted, redriven, with_trunk
from distributary.feed.invoke import Feed
from distributary.readers.parked import RECONCILED, Parked

MOST = 5000
"""Parked changes that are looked at for one page."""

NAMED = 50
"""Of a group, changes that are named."""

RATE = 200.0


def groups(attached: Downstream) -> dict[str, Any]:
    """By branch and cause, the largest first. `more`: whether there is more than was looked at."""
    found: dict[tuple[str, str], list[Parked]] = defaultdict(list)
    many = 0
    for change in Chosen(attached.deployed, list(attached.functions), "", None, None):
        many += 1
        if many > MOST:
            break
        found[change.branch, change.cause].append(change)
    ordered = sorted(found.items(), key=lambda group: -len(group[1]))
    return {"groups": [_group(*name, changes) for name, changes in ordered], "more": many > MOST}


def _group(branch: str, cause: str, changes: list[Parked]) -> dict[str, Any]:
    times = [change.place.when.timestamp() for change in changes]
    return {
        "branch": branch,
        "cause": cause,
        "changes": len(changes),
        "first": min(times),
        "last": max(times),
        "items": [shown(change) for change in changes[:NAMED]],
    }


def shown(change: Parked) -> dict[str, Any]:
    """One parked change, as plain values."""
    return {
        "branch": change.branch,
        "object": change.place.name,
        "when": change.place.when.timestamp(),
        "cause": change.cause,
        "detail": change.detail,
        "table": change.table or "",
        "key": change.key,
        "event": str((change.record or {}).get("eventID", "")),
    }


@dataclass(slots=True)
class Redrives:
    """One redrive at a time, in a thread of its own; `state` is for the page, which asks again and again."""

    attached: Downstream
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _state: dict[str, Any] = field(default_factory=lambda: {"running": False})

    def state(self) -> dict[str, Any]:
        """`running`, `dealt` (changes so far), and at its end `done`, `left` by cause, or `error`."""
        with self._lock:
            return dict(self._state)

    def start(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """Redrives what is parked for a `branch` with a `cause`, or of a `key` (DynamoDB JSON). Raises ValueError if
        one runs, UsageFault and ConfigError."""
        deployed = self.attached.deployed
        branches = [str(asked["branch"])] if asked.get("branch") else list(self.attached.functions)
        chosen = Chosen(deployed, with_trunk(deployed, branches), str(asked.get("cause", "")), asked.get("key"), None)
        with self._lock:
            if self._state["running"]:
                raise ValueError("a redrive is running: wait until it has ended")
            self._state = {"running": True, "dealt": 0}
        threading.Thread(target=self._run, args=(chosen,), daemon=True, name="redrive").start()
        return self.state()

    def _run(self, chosen: Chosen) -> None:
        try:
            result = redriven(self.attached.deployed, chosen, self._told, RATE)
            left = [{"branch": branch, "cause": cause, "changes": n} for (branch, cause), n in result.left.items()]
            self._end({"done": result.done, "left": left})
        except Exception as error:  # noqa: BLE001  the page shows it
            self._end({"error": " ".join(f"{error}".split())})

    def _told(self, many: int, cause: str = "") -> None:  # noqa: ARG002  what is left says why at the end
        with self._lock:
            self._state["dealt"] += many

    def _end(self, result: dict[str, Any]) -> None:
        with self._lock:
            self._state = {"running": False, "dealt": self._state["dealt"], **result}


def reconcile(attached: Downstream, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Has a branch set one item right from what the table holds now; its outcome. Raises ValueError, Unavailable."""
    branch, table = str(asked["branch"]), attached.table(str(asked["table"]))
    if branch not in RECONCILED or branch not in attached.functions:
        raise ValueError(f"{branch} does not reconcile items: derive, index and replicate do, if they are attached")
    function = attached.deployed.function(branch)
    (end,) = Feed(function.invoke, table=function.named(table.name)).reconcile([{"key": asked["key"]}])
    return {"status": end.status, "cause": end.cause}


def forget(attached: Downstream, asked: Mapping[str, Any]) -> dict[str, Any]:
    """Deletes parked changes of a `key` (DynamoDB JSON) that the page has `seen`: pairs of object and time. One that
    was parked since stays. Raises ValueError and UsageFault."""
    seen = {(str(name), float(when)) for name, when in asked.get("seen") or ()}
    if not asked.get("key") or not seen:
        raise ValueError("give a key, and what is parked of it as you have seen it")
    chosen = Chosen(attached.deployed, list(attached.functions), "", str(asked["key"]), None)
    found = (each for each in chosen if (each.place.name, each.place.when.timestamp()) in seen)
    many = deleted(chosen.bucket, found)
    return {"said": f"{many} forgotten"}
