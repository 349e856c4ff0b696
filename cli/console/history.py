"""What the console remembers: the last changes, and what became of each in each branch. Its memory is bounded."""

import json
import threading
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

CHANGES = 10_000
BYTES = 64 << 20
"""How many changes are remembered, and how many bytes of their records: whichever comes first."""

STEPS = 20
"""Deliveries of one change to one branch that are remembered."""

_OVERHEAD = 2_000
"""Bytes that a change takes beside its record, about."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened to a change in a branch, at a time in epoch seconds."""

    at: float
    what: str


@dataclass(slots=True)
class Fate:
    """What became of a change in one branch. `outcome`: what the function said last, empty before it did. `end`: how
    its mapping ended it: done, discarded or filtered; empty before. `invocations`: when its last ones ran."""

    deliveries: int = 0
    retries: int = 0
    bisections: int = 0
    outcome: str = ""
    end: str = ""
    causes: dict[str, str] = field(default_factory=dict)
    steps: deque[Step] = field(default_factory=lambda: deque(maxlen=STEPS))
    invocations: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=STEPS))

    @property
    def cause(self) -> str:
        """Of the outcome."""
        return self.causes.get(self.outcome, "")

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "deliveries": self.deliveries,
            "retries": self.retries,
            "bisections": self.bisections,
            "outcome": self.outcome,
            "end": self.end,
            "cause": self.cause,
            "steps": [{"at": each.at, "what": each.what} for each in self.steps],
        }


@dataclass(slots=True)
class Seen:
    """A change that was read from the stream. `number`: in the order in which changes were read first; `record` is its
    record in Lambda's form, as JSON."""

    number: int
    event: str
    kind: str
    source: str
    shard: str
    created: float
    read: float
    record: bytes
    fates: dict[str, Fate] = field(default_factory=dict)
    entities: tuple[str, ...] | None = None
    _key: str | None = None

    @property
    def key(self) -> str:
        """The item's key as JSON. It is made when it is first asked for: most changes are never looked at."""
        if self._key is None:
            keys = (self.event_record().get("dynamodb") or {}).get("Keys")
            self._key = json.dumps(keys, sort_keys=True, ensure_ascii=False)
        return self._key

    @property
    def size(self) -> int:
        """Bytes, about."""
        return len(self.record) + _OVERHEAD

    def event_record(self) -> Any:
        """The record."""
        return json.loads(self.record)

    def as_json(self) -> dict[str, Any]:
        """Plain values, without the record."""
        return {
            "number": self.number,
            "event": self.event,
            "kind": self.kind,
            "key": self.key,
            "shard": self.shard,
            "created": self.created,
            "read": self.read,
            "entities": list(self.entities or ()),
            "fates": {name: fate.as_json() for name, fate in self.fates.items()},
        }


Wanted = Callable[[Seen], bool]


class History:
    """Safe to use from any thread."""

    def __init__(self, changes: int = CHANGES, size: int = BYTES, now: Callable[[], float] = time.time) -> None:
        self._most, self._most_bytes, self._now = changes, size, now
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, Seen] = OrderedDict()
        self._bytes = 0
        self._read = 0
        self._version = 0
        self.kinds: Counter[str] = Counter()

    @property
    def version(self) -> int:
        """Another number after each thing that happened."""
        return self._version

    def read(self, branch: str, shard: str, record: Mapping[str, Any], encoded: bytes | None, filtered: bool) -> None:
        """A record was read by a branch's mapping; each record is counted once. `encoded`: as JSON, if it is known."""
        with self._lock:
            self._version += 1
            event = str(record.get("eventID", ""))
            seen = self._seen.get(event) or self._add(event, shard, record, encoded)
            fate = seen.fates.setdefault(branch, Fate())
            fate.end = "filtered" if filtered else ""
            if filtered:
                fate.steps.append(Step(self._now(), "left out by the mapping's filter"))

    def _add(self, event: str, shard: str, record: Mapping[str, Any], encoded: bytes | None) -> Seen:
        self._read += 1
        body = record.get("dynamodb") or {}
        text = encoded if encoded is not None else json.dumps(record, ensure_ascii=False).encode()
        seen = Seen(
            number=self._read,
            event=event,
            kind=str(record.get("eventName", "")),
            source=str(record.get("eventSourceARN", "")),
            shard=shard,
            created=float(body.get("ApproximateCreationDateTime") or 0),
            read=self._now(),
            record=text,
        )
        self.kinds[seen.kind] += 1
        self._seen[event] = seen
        self._bytes += seen.size
        while len(self._seen) > self._most or (self._bytes > self._most_bytes and len(self._seen) > 1):
            self._bytes -= self._seen.popitem(last=False)[1].size
        return seen

    def caused(self, branch: str, events: Sequence[str], outcome: str, cause: str) -> None:
        """A function said why changes have such an outcome."""
        with self._lock:
            self._version += 1
            for fate in self._fates(branch, events):
                fate.causes[outcome] = cause

    def noted(self, branch: str, events: Sequence[str], outcome: str) -> None:
        """A function said what became of changes."""
        step = Step(self._now(), outcome.lower())
        with self._lock:
            self._version += 1
            for fate in self._fates(branch, events):
                fate.outcome = outcome
                fate.steps.append(step)

    def delivered(self, branch: str, events: Sequence[str], began: float, ended: float) -> None:
        """A batch of these changes was given to a function."""
        with self._lock:
            self._version += 1
            for fate in self._fates(branch, events):
                fate.deliveries += 1
                fate.invocations.append((began, ended))

    def again(self, branch: str, events: Sequence[str], bisected: bool, why: str) -> None:
        """These changes will be delivered again, in parts if the batch was `bisected`."""
        with self._lock:
            self._version += 1
            for fate in self._fates(branch, events):
                fate.bisections += bisected
                fate.retries += not bisected
                fate.steps.append(Step(self._now(), f"{'bisected' if bisected else 'retried'}: {why}"))

    def ended(self, branch: str, events: Sequence[str], how: str) -> None:
        """These changes will not be delivered again."""
        with self._lock:
            self._version += 1
            for fate in self._fates(branch, events):
                fate.end = how
                if how == "discarded":
                    fate.steps.append(Step(self._now(), "given up by the mapping"))

    def _fates(self, branch: str, events: Sequence[str]) -> Iterator[Fate]:
        for event in events:
            if (seen := self._seen.get(event)) is not None:
                yield seen.fates.setdefault(branch, Fate())

    def forget_entities(self) -> None:
        """Declarations have changed."""
        with self._lock:
            for seen in self._seen.values():
                seen.entities = None

    def page(self, before: int | None, limit: int, wanted: Wanted = lambda _: True) -> tuple[list[dict[str, Any]], int]:
        """The newest changes that are wanted, at most `limit` of those before this number, and the number before which
        the next page begins: 0 if there is none."""
        with self._lock:
            candidates = [seen for seen in reversed(self._seen.values()) if before is None or seen.number < before]
        found = list[Seen]()
        for seen in candidates:
            if wanted(seen):
                if len(found) == limit:
                    return self._shown(found), found[-1].number
                found.append(seen)
        return self._shown(found), 0

    def _shown(self, found: Sequence[Seen]) -> list[dict[str, Any]]:
        with self._lock:
            return [each.as_json() for each in found]

    def find(self, event: str) -> Seen | None:
        """A change, if it is still remembered."""
        with self._lock:
            return self._seen.get(event)

    def shown(self, seen: Seen) -> dict[str, Any]:
        """Its plain values, and when its invocations ran by branch."""
        with self._lock:
            runs = {name: [list(each) for each in fate.invocations] for name, fate in seen.fates.items()}
            return {**seen.as_json(), "invocations": runs}

    def size(self) -> dict[str, int]:
        """How many changes were read, how many are remembered, and their bytes, about."""
        with self._lock:
            return {"read": self._read, "kept": len(self._seen), "bytes": self._bytes, **self.kinds}
