"""Messages by rule: claimed, sent, confirmed, each once."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import APPLIED, IGNORED, SUPERSEDED, Outcome, Status
from distributary.consumer.parallel import Parallel
from distributary.consumer.per_item import per_item
from distributary.consumer.replay import LATE
from distributary.errors import DistributaryError, Rejected, Unavailable
from distributary.stream import canonical
from distributary.stream import version as versions
from distributary.stream.change import Change, Image, Origin
from distributary.stream.dynamodb_stream import table_of
from distributary.stream.keys import bounded, escape, identity
from distributary.stream.replicated import replicated
from distributary.stream.struct import Struct, replace
from distributary.welcome.channels import Channel, MaybeSent
from distributary.welcome.claims import MAX_SENDS, Claim, Claims, Found, read
from distributary.welcome.messages import Message
from distributary.welcome.rate_limit import Pace
from distributary.welcome.rules import Rule, compose
from distributary.welcome.suppressions import id_of as suppression_of

CLAIM_ID_BYTES = 1024
LEASE_MARGIN_SECONDS = 5.0
"""How far clocks may differ, and how long a call in flight may outlast the function that made it."""

SEND_SECONDS = 6.0
"""A claim, a send and a confirmation take far less, unless a service hangs: with less time left, no send is begun."""

UNKNOWN = "Unknown"
"""The metric that counts messages with an unknown outcome: they may have been sent or not."""

_LATE = Outcome(Status.IGNORED, LATE)
_SUPPRESSED = Outcome(Status.IGNORED, "the address is suppressed: it bounced or complained")


class Sending(Struct, frozen=True):
    """A message that a rule asks for. `claims` are the ids under which it may have been claimed, its own first; a claim
    under one of `others` is this message's only if it names the change's `position`. A `late` message is not begun, but
    one that was begun in time is settled."""

    rule: Rule
    message: Message
    claims: tuple[str, ...]
    others: tuple[str, ...]
    position: str
    late: bool


@dataclass(frozen=True, slots=True)
class WelcomeBranch:
    """The declared rules, each over its channel. `max_age_seconds` is that of rules without one of their own."""

    rules: tuple[Rule, ...]
    claims: Claims
    channels: Mapping[type[Channel], Channel]
    pace: Pace
    parallel: Parallel
    max_age_seconds: int
    now: Callable[[], float] = time.time

    def apply(self, changes: Sequence[Change], deadline: Deadline) -> list[Outcome]:
        """See `consume.Branch`. Redriven, backfilled and replicated changes send nothing."""
        planned = [[self._plan(rule, change) for rule in self.rules] for change in changes]
        places = [at for at, plan in enumerate(planned) if any(isinstance(each, Sending) for each in plan)]

        def serve(group: list[int]) -> list[Outcome]:
            return [self._serve_all(planned[at], deadline) for at in group]

        served = per_item(changes, places, lambda groups: self.parallel.run(serve, groups, deadline))
        return [
            served[at] if at in served else outcomes.combine(each for each in plan if isinstance(each, Outcome))
            for at, plan in enumerate(planned)
        ]

    def _plan(self, rule: Rule, change: Change) -> Sending | Outcome:
        try:
            if change.origin is not Origin.STREAM or replicated(change) or not rule.of.reads(change.source):
                return IGNORED
            item = rule.on.item(change)
            if item is None or not rule.wants(item):
                return IGNORED
            return self._sending(rule, change, item)
        except Rejected as error:
            return outcomes.parked(_named(rule, error))

    def _sending(self, rule: Rule, change: Change, item: Image) -> Sending:
        position = occasion(change)
        claims, others = claim_ids(rule, change, position)
        age = self.max_age_seconds if rule.max_age_seconds is None else rule.max_age_seconds
        late = change.created is not None and self.now() - change.created > age
        message = replace(compose(rule, item, claims[0]), event=change.event_id)
        return Sending(rule, message, claims, others, position, late)

    def _serve_all(self, plan: Sequence[Sending | Outcome], deadline: Deadline) -> Outcome:
        return outcomes.combine(self._serve(each, deadline) if isinstance(each, Sending) else each for each in plan)

    def _serve(self, sending: Sending, deadline: Deadline) -> Outcome:
        try:
            deadline.check()
            return (
                self._not_sent(sending, _LATE, *self._read_claim(sending, deadline))
                if sending.late
                else self._send_once(sending, deadline)
            )
        except Rejected as error:
            return outcomes.parked(_named(sending.rule, error))
        except Unavailable as error:
            return outcomes.failed(_named(sending.rule, error))

    def _read_claim(self, sending: Sending, deadline: Deadline) -> tuple[bool, str, Found | None]:
        """Whether the address is suppressed, and the claim that this message has, with its id."""
        suppression = suppression_of(sending.message.to) if sending.message.to else None
        ids = [*sending.claims, *sending.others]
        rows = self.claims.find([*ids, *([suppression] if suppression else [])], deadline)
        found = {id: read(rows[id], self.now()) for id in ids if id in rows}
        for id, claim in found.items():
            if id in sending.claims or claim.position == sending.position:
                return suppression in rows, id, claim
        return suppression in rows, sending.claims[0], None

    def _not_sent(self, sending: Sending, end: Outcome, suppressed: bool, _: str, found: Found | None) -> Outcome:
        """The outcome of a message that is not sent now: that of an earlier send, if it was begun, else `end`."""
        if found is None:
            return _SUPPRESSED if suppressed else end
        match found.claim:
            case Claim.SENT:
                return SUPERSEDED
            case Claim.UNKNOWN:
                cause = "its address is suppressed" if suppressed else "it is older than its rule allows"
                return _unknown(sending, f"an earlier send was not confirmed, and it is not sent again: {cause}")
        raise _claimed_by_another()

    def _send_once(self, sending: Sending, deadline: Deadline) -> Outcome:
        """The suppressions are read after the wait for the message's turn, right before it is claimed and sent; it is
        only claimed if its confirmation fits the time left."""
        self.pace.take(deadline, SEND_SECONDS)
        sent = False
        try:
            suppressed, id, found = self._read_claim(sending, deadline)
            if suppressed:
                return self._not_sent(sending, _SUPPRESSED, suppressed, id, found)
            if deadline.left() < SEND_SECONDS:
                raise Unavailable("not begun: a message is only begun if its confirmation fits the time left")
            owner = uuid4().hex
            claim = self._claim(sending, id, owner, found, deadline)
            if claim.claim is not Claim.GRANTED:
                return self._by_other_claimant(sending, claim)
            sent = True
            end = self._send(sending, id, owner, claim.sends)
            return end if claim.sends == 1 else end._replace(metric=UNKNOWN)
        finally:
            if not sent:
                self.pace.give_back()

    def _claim(self, sending: Sending, id: str, owner: str, found: Found | None, deadline: Deadline) -> Found:
        """The claim as granted, or as another claimant has it."""
        lease = deadline.left() + deadline.reserve + LEASE_MARGIN_SECONDS
        expires = sending.rule.again == "each"
        if found is None:
            return self.claims.take(id, owner, lease, sending.position, expires)
        if found.claim is Claim.UNKNOWN and sending.rule.on_unknown == "resend" and found.sends < MAX_SENDS:
            return self.claims.take_over(id, owner, lease, found, sending.position, expires)
        return found

    def _by_other_claimant(self, sending: Sending, found: Found) -> Outcome:
        """The outcome by what another claimant did, or began and left open."""
        if found.claim is Claim.SENT:
            return SUPERSEDED
        if found.claim is Claim.UNKNOWN and sending.rule.on_unknown == "park":
            return _unknown(sending, "an earlier send was not confirmed")
        if found.claim is Claim.UNKNOWN and found.sends >= MAX_SENDS:
            return _unknown(sending, f"it was sent {found.sends} times, and no send was confirmed")
        raise _claimed_by_another()

    def _send(self, sending: Sending, id: str, owner: str, sends: int) -> Outcome:
        try:
            message_id = self.channels[sending.rule.channel].send(replace(sending.message, id=id))
        except MaybeSent as error:
            self.pace.refused()
            self.claims.give_up(id, owner, sends)
            again = sending.rule.on_unknown == "resend" and sends < MAX_SENDS
            return _unknown(sending, str(error), error.detail, outcomes.failed if again else outcomes.parked)
        except Rejected:
            self.claims.release(id, owner)
            raise
        except Unavailable:
            self.pace.refused()
            self.claims.release(id, owner)
            raise
        self.pace.accepted()
        self.claims.confirm(id, owner, message_id)
        return APPLIED


def occasion(change: Change) -> str:
    """The `position` of a `Sending`: that of the change in its item's history. Two changes may have one time; then what
    they changed tells them apart, and a record that comes twice is one change."""
    position = str(versions.position_of(change.version))
    if not versions.is_time(change.version):
        return position
    images = [None if image is None else image.raw for image in (change.old, change.new)]
    return f"{position}.{canonical.digest(change.kind, *images)}"


def claim_ids(rule: Rule, change: Change, position: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The `claims` and `others` of a `Sending`. The first is the rule's own. The others are those of the other value of
    `again`, so that a change of it sends nothing twice, and those of version 0.1, which name no table."""
    key, table = identity(change.keys.raw), escape(table_of(change.source))
    once = [bounded(text, CLAIM_ID_BYTES) for text in (f"{rule.claim_id}|{table}|{key}", f"{rule.name}|{key}")]
    each = [
        bounded(text, CLAIM_ID_BYTES)
        for text in (f"{rule.claim_id}|{table}|{key}|{position}", f"{rule.name}|{key}|{position}")
    ]
    return (tuple(each), tuple(once)) if rule.again == "each" else ((*once, *each), ())


def _unknown(
    sending: Sending,
    cause: str,
    detail: str = "",
    ended: Callable[[DistributaryError], Outcome] = outcomes.parked,
) -> Outcome:
    return ended(_named(sending.rule, Rejected(f"unknown: {cause}", detail)))._replace(metric=UNKNOWN)


def _claimed_by_another() -> Unavailable:
    return Unavailable("another invocation is sending this message, or the wait before it is sent again still runs")


def _named(rule: Rule, error: DistributaryError) -> DistributaryError:
    return type(error)(f"rule '{rule.name}': {error}", error.detail)
