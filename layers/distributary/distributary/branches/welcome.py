"""One message per new user: claimed, sent, confirmed."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import uuid4

from distributary import outcome as outcomes
from distributary.change import Change, Kind, Origin
from distributary.channels import Channel, MaybeSent
from distributary.deadline import Deadline
from distributary.errors import Rejected, Unavailable
from distributary.keys import bounded, identity
from distributary.outcome import APPLIED, IGNORED, SUPERSEDED, Outcome, Status
from distributary.parallel import Parallel
from distributary.rules import Message, Rule, compose
from distributary.tables.claims import Claim, Claims
from distributary.views import guarded

CLAIM_ID_BYTES = 1024
LEASE_MARGIN_SECONDS = 5.0
"""How far clocks may differ, and how long a call in flight may outlast the function that made it."""

SEND_SECONDS = 6.0
"""A claim, a send and a confirmation take far less, unless a service hangs: with less left, nothing is begun."""

_LATE = Outcome(Status.IGNORED, "older than MAX_AGE_SECONDS: nobody is greeted that late")


@dataclass(frozen=True, slots=True)
class Welcome:
    """The declared rules over one channel."""

    rules: tuple[Rule, ...]
    claims: Claims
    channel: Channel
    parallel: Parallel
    max_age_seconds: int
    now: Callable[[], float] = time.time

    def apply(self, changes: Sequence[Change], deadline: Deadline) -> list[Outcome]:
        """See `consume.Branch`. A new user is an INSERT from the stream itself, not older than `max_age_seconds`:
        replays, backfills and replicated items greet nobody, and neither does a user who comes back."""
        ends: list[Outcome] = [IGNORED] * len(changes)
        for place, change in enumerate(changes):
            if change.kind is Kind.INSERT and change.origin is Origin.STREAM and self._is_late(change):
                ends[place] = _LATE
        groups = _by_item(changes, [place for place, change in enumerate(changes) if self._is_news(change)])
        served = self.parallel.run(lambda group: [self._one(changes[i], deadline) for i in group], groups, deadline)
        for group, result in zip(groups, served, strict=True):
            each = result if isinstance(result, list) else [outcomes.failed(result)] * len(group)
            for place, end in zip(group, each, strict=True):
                ends[place] = end
        return ends

    def _one(self, change: Change, deadline: Deadline) -> Outcome:
        return outcomes.combine([self._serve(rule, change, deadline) for rule in self.rules])

    def _is_news(self, change: Change) -> bool:
        return (
            change.kind is Kind.INSERT
            and change.origin is Origin.STREAM
            and not change.replicated
            and not self._is_late(change)
        )

    def _is_late(self, change: Change) -> bool:
        return self.now() - change.created > self.max_age_seconds

    def _serve(self, rule: Rule, change: Change, deadline: Deadline) -> Outcome:
        try:
            message = self._message(rule, change)
            if message is None:
                return IGNORED
            if deadline.left() < SEND_SECONDS:
                raise Unavailable("not begun: a message is only begun if its confirmation fits the time left")
            claim_id = bounded(f"{rule.name}|{identity(change.keys.raw)}", CLAIM_ID_BYTES)
            return self._send(claim_id, message, deadline)
        except Rejected as error:
            return outcomes.parked(Rejected(f"rule '{rule.name}': {error}", error.detail))
        except Unavailable as error:
            return outcomes.failed(Unavailable(f"rule '{rule.name}': {error}", error.detail))

    def _message(self, rule: Rule, change: Change) -> Message | None:
        item = change.new
        if item is None or not rule.of.claims(item):
            return None
        if rule.where is not None and not guarded("where", rule.where, item):
            return None
        return compose(rule, item)

    def _send(self, id: str, message: Message, deadline: Deadline) -> Outcome:
        owner = uuid4().hex
        match self.claims.take(id, owner, deadline.left() + deadline.reserve + LEASE_MARGIN_SECONDS):
            case Claim.SENT:
                return SUPERSEDED
            case Claim.SENDING:
                raise Unavailable("another invocation is sending this message, or died doing so: its lease runs")
            case Claim.UNKNOWN:
                raise Rejected("unknown: a crash came between sending and its confirmation")
        try:
            message_id = self.channel.send(message)
        except MaybeSent as error:
            self.claims.give_up(id, owner)
            raise Rejected(f"unknown: {error}", error.detail) from error
        except (Rejected, Unavailable):
            self.claims.release(id, owner)
            raise
        self.claims.confirm(id, owner, message_id)
        return APPLIED


def _by_item(changes: Sequence[Change], places: Sequence[int]) -> list[list[int]]:
    """The places of each item's changes, to be served one after the other: at once, they would contend for a claim."""
    groups: dict[str, list[int]] = {}
    for place in places:
        groups.setdefault(repr(changes[place].keys.raw), []).append(place)
    return list(groups.values())
