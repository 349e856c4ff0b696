"""What can befall a call: a crash, a refusal, a response that is lost, an effect that comes later."""

import copy
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from tests.fakes.answers import refusal
from tests.fakes.faults import Crash
from tests.scheduler.choices import Choices

WRITES = {"put_item", "delete_item", "update_item", "transact_write_items", "bulk", "put_object", "send_email"}
MANY = {"batch_get_item", "bulk", "mget"}
"""Operations that are several, each of which takes effect by itself."""
BATCHES = {"batch_get_item", "bulk"}
"""Operations whose answer may say of some that they were not done."""
MINUTE = 61.0
SIGNED_SECONDS = 300.0
"""AWS refuses a request that reaches it later than this after it was signed.
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html"""


@dataclass(slots=True)
class Call:
    """A call about to be made. `errors` is the module of the service's fake; clients of OpenSearch raise other errors
    for what reads, which it calls READS."""

    operation: str
    arguments: dict[str, Any]
    method: Callable[..., Any]
    errors: Any

    def make(self) -> Any:
        """Without any fault."""
        return self.method(**self.arguments)

    def error(self, name: str) -> Exception:
        """A copy, for an error that is raised again and again keeps the frames of each time."""
        errors = self.errors if self.operation in {*WRITES, "get_many"} else getattr(self.errors, "READS", self.errors)
        return copy.copy(getattr(errors, name))


Effect = Callable[[Any, Call], Any]
"""Is given the scheduler and the call; makes it or not, and answers or raises."""


def crash_before(scheduler: Any, call: Call) -> Any:
    """The actor's process ends before the request leaves."""
    raise Crash


def crash_after(scheduler: Any, call: Call) -> Any:
    """The request takes effect, and the actor's process has ended."""
    _quietly(call)
    raise Crash


def throttled(scheduler: Any, call: Call) -> Any:
    """The service refuses for now."""
    raise call.error("THROTTLED")


def broken(scheduler: Any, call: Call) -> Any:
    """The service fails before it does anything."""
    raise call.error("BROKEN")


def lost(scheduler: Any, call: Call) -> Any:
    """The request takes effect, and its response is lost."""
    _quietly(call)
    raise call.error("UNANSWERED")


def late(scheduler: Any, call: Call) -> Any:
    """The client gives the request up, and it takes effect at any later time."""
    scheduler.spawn(f"late {call.operation}", lambda: _landed(scheduler, call), spared=True)
    raise call.error("UNANSWERED")


def late_while_signed(scheduler: Any, call: Call) -> Any:
    """As `late`, but AWS refuses the request once its signature is too old."""
    signed = scheduler.monotonic()

    def reached(**arguments: Any) -> Any:
        if scheduler.monotonic() > signed + SIGNED_SECONDS:
            raise call.error("BROKEN")
        return call.method(**arguments)

    return late(scheduler, replace(call, method=reached))


def torn(scheduler: Any, call: Call) -> Any:
    """Of a request for many, each takes effect by itself: others come between."""
    return _PARTS[call.operation](scheduler, call)


def partial(scheduler: Any, call: Call) -> Any:
    """The service does only some of it, and says so."""
    if call.operation == "bulk":
        return _busy(call)
    parts = _parts(call)
    done = parts[0] if len(parts) > 1 else {}
    found = call.method(**{**call.arguments, "RequestItems": done}) if done else {"Responses": {}}
    left: dict[str, Any] = {}
    for each in parts[1:] or parts:
        for table, request in each.items():
            keys = [*left.get(table, {"Keys": []})["Keys"], *request["Keys"]]
            left[table] = {**request, "Keys": keys}
    return {**found, "UnprocessedKeys": left}


def conflict(scheduler: Any, call: Call) -> Any:
    """Some of a transaction's rows are in another one."""
    codes = ("None", "None", "TransactionConflict", "ThrottlingError")
    reasons = [{"Code": codes[int(scheduler.uniform(0, len(codes)))]} for _ in call.arguments["TransactItems"]]
    reasons[0] = {"Code": "TransactionConflict"}
    raise refusal("TransactWriteItems", "TransactionCanceledException", "cancelled", CancellationReasons=reasons)


def set_back(scheduler: Any, call: Call) -> Any:
    """All wall clocks are set back by a minute."""
    scheduler.jump(-MINUTE)
    return call.make()


def stalled(scheduler: Any, call: Call) -> Any:
    """Nobody gets a turn for a minute."""
    scheduler.jump(0.0, MINUTE)
    return call.make()


ALWAYS: tuple[Effect, ...] = (crash_before, crash_after, throttled, broken, lost)
CLOCKS: tuple[Effect, ...] = (set_back, stalled)
SAFE: tuple[Effect, ...] = (*ALWAYS, partial, conflict, *CLOCKS)
"""All but late effects, which some primitives cannot bear."""


@dataclass
class Faults:
    """At most `most` of these kinds befall a schedule's calls, each call with the probability `odds`; requests for many
    are torn, as often as not, if `tears`."""

    most: int = 0
    odds: float = 0.15
    kinds: tuple[Effect, ...] = (*SAFE, late)
    tears: bool = False
    had: list[str] = field(default_factory=list)

    def choose(self, choices: Choices, call: Call) -> Effect | None:
        """What befalls this call; None if nothing does. A call out of a generator's `finally` is left alone: Python
        drops what it raises, if the generator is not run to its end."""
        if call.operation == "clear_scroll":
            return None
        if len(self.had) < self.most:
            able = [kind for kind in self.kinds if _applies(kind, call)]
            chosen = choices.pick(1 + len(able), self.odds)
            if chosen:
                self.had.append(able[chosen - 1].__name__)
                return able[chosen - 1]
        if self.tears and call.operation in MANY and choices.pick(2, 0.5):
            return torn
        return None


def _applies(kind: Effect, call: Call) -> bool:
    if kind in (late, late_while_signed):
        return call.operation in WRITES
    if kind is partial:
        return call.operation in BATCHES
    return kind is not conflict or call.operation == "transact_write_items"


def _quietly(call: Call) -> None:
    try:
        call.make()
    except Exception:  # noqa: BLE001
        return


def _landed(scheduler: Any, call: Call) -> None:
    """As a call of its own, so that the trace shows it."""
    try:
        scheduler.made(call)
    except Exception:  # noqa: BLE001
        return


def _parts(call: Call) -> list[dict[str, Any]]:
    """A read of many keys as two reads, by table if there are several. The layer may ask in the order of a set, which
    differs from one process to the next: so the keys are sorted."""
    requests = call.arguments["RequestItems"]
    if len(requests) > 1:
        return [{table: request} for table, request in sorted(requests.items())]
    ((table, request),) = requests.items()
    keys = sorted(request["Keys"], key=repr)
    halves = (keys[: len(keys) // 2], keys[len(keys) // 2 :])
    return [{table: {**request, "Keys": half}} for half in halves if half]


def _torn_keys(scheduler: Any, call: Call) -> Any:
    found: dict[str, list[Any]] = {}
    answer: dict[str, Any] = {}
    for part in _parts(call):
        answer = call.method(**{**call.arguments, "RequestItems": part})
        for table, rows in answer["Responses"].items():
            found.setdefault(table, []).extend(rows)
        scheduler.pause()
    return {**answer, "Responses": found}


def _torn_bulk(scheduler: Any, call: Call) -> Any:
    items: list[Any] = []
    for part in _documents(call.arguments["body"]):
        items += call.method(**{**call.arguments, "body": part})["items"]
        scheduler.pause()
    return {"items": items}


def _torn_mget(scheduler: Any, call: Call) -> Any:
    docs = []
    for each in call.arguments["body"]["docs"]:
        docs += call.method(**{**call.arguments, "body": {"docs": [each]}})["docs"]
        scheduler.pause()
    return {"docs": docs}


def _busy(call: Call) -> Any:
    """Every second document meets a full queue."""
    items: list[Any] = []
    for at, part in enumerate(_documents(call.arguments["body"])):
        if at % 2:
            items += call.method(**{**call.arguments, "body": part})["items"]
            continue
        (header,) = json.loads(part.splitlines()[0]).values()
        error = {"type": "rejected_execution_exception", "reason": "queue full"}
        items.append({"index": {"_id": header["_id"], "status": 429, "error": error}})
    return {"items": items}


def _documents(body: bytes) -> list[bytes]:
    lines = body.splitlines(keepends=True)
    return [b"".join(lines[at : at + 2]) for at in range(0, len(lines), 2)]


_PARTS: dict[str, Effect] = {"batch_get_item": _torn_keys, "bulk": _torn_bulk, "mget": _torn_mget}
