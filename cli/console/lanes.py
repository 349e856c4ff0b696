"""The first page: how far each shard is, and a lane for each branch with counts that add up."""

import time
from typing import Any

from cli.console.attached import Attached
from distributary.consumer.outcome import Status
from distributary.stream.keys import table_of
from local.build import TRUNK
from local.esm.mapping import Delivering

_MAPPING = ("delivered", "done", "filtered", "retried", "bisected", "discarded", "throttled", "gaps")


def summary(attached: Attached) -> dict[str, Any]:
    """All that the page shows beside the changes themselves; ages in seconds."""
    now = time.time()
    return {
        "version": attached.history.version,
        "kind": "attached",
        "now": now,
        "tables": attached.shown_tables(),
        "branches": list(attached.functions),
        "acts": True,
        "writable": attached.writable,
        "history": attached.history.size(),
        "shards": _shards(attached, now),
        "lanes": [_lane(attached, name) for name in attached.functions],
        "mappings": [_mapping(name, mapping) for name, mapping in attached.mappings.items()],
    }


def _shards(attached: Attached, now: float) -> list[dict[str, Any]]:
    """One for each shard, with its position in each mapping."""
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for name, mapping in attached.mappings.items():
        for part in mapping.parts:
            for position in part.positions():
                table = table_of(part.stream_arn)
                shard = found.setdefault(
                    (table, position.shard), {"table": table, "shard": position.shard, "readers": []}
                )
                oldest = position.oldest
                shard["readers"].append(
                    {
                        "reader": name,
                        "checkpoint": position.checkpoint,
                        "outstanding": position.outstanding,
                        "age": max(0.0, now - oldest) if oldest else 0.0,
                        "finished": position.finished,
                    }
                )
    return list(found.values())


def _lane(attached: Attached, name: str) -> dict[str, Any]:
    """What the branch counted by itself. `adds_up`: each change that it received has one outcome."""
    counts = attached.stack.counted(name)
    outcomes = {status.value: counts.get(status.value, 0) for status in Status}
    runner = TRUNK if TRUNK in attached.mappings else name
    lags = attached.stack.function(runner).metrics.samples("Lag")
    return {
        "branch": name,
        "reader": runner,
        "received": counts.get("Received", 0),
        "outcomes": outcomes,
        "adds_up": counts.get("Received", 0) == sum(outcomes.values()),
        "reconciled": counts.get("Reconciled", 0) + counts.get("Replayed", 0),
        "lag": lags[-1] if lags else 0.0,
        "fault": attached.stack.function(runner).start_error() or "",
        "rebuild_due": bool(counts.get("RebuildDue")),
    }


def _mapping(name: str, mapping: Delivering) -> dict[str, Any]:
    counts = mapping.tally.counts()
    return {"reader": name, **{each: counts.get(each, 0) for each in _MAPPING}}
