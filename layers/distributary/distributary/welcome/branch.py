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
from distributary.errors import DistributaryError, Rejected, Unavailable
from distributary.stream import version as versions
from distributary.stream.change import Change, Image, Origin
from distributary.stream.keys import bounded, identity
from distributary.welcome.channels import Channel, MaybeSent
from distributary.welcome.claims import Claim, Claims
from distributary.welcome.messages import Message
from distributary.welcome.rate_limit import Pace
from distributary.welcome.rules import Rule, compose
from distributary.welcome.suppressions import Suppressions

CLAIM_ID_BYTES = 1024
LEASE_MARGIN_SECONDS = 5.0
"""How far clocks may differ, and how long a call in flight may outlast the function that made it."""

SEND_SECONDS = 6.0
"""A claim, a send and a confirmation take far less, unless a service hangs: with less left, nothing is begun."""

UNKNOWN = "Unknown"
"""The metric that counts messages of which nobody could know whether they had gone out."""

_LATE = Outcome(Status.IGNORED, "older than its rule allows: nobody is written to that late")
_SUPPRESSED = Outcome(Status.IGNORED, "the address is suppressed: it bounced or complained")


@dataclass(frozen=True, slots=True)
class Sending:
    """A message that a rule asks for; a late one is not begun, but what was begun in time is settled."""

    rule: Rule
    message: Message
    late: bool


@dataclass(frozen=True, slots=True)
class WelcomeBranch:
    """The declared rules, each over its channel. `max_age_seconds` is that of rules without one of their own."""

    rules: tuple[Rule, ...]
    claims: Claims
    suppressions: Suppressions
    channels: Mapping[type[Channel], Channel]
    pace: Pace
    parallel: Parallel
    max_age_seconds: int
    now: Callable[[], float] = time.time

    def apply(self, changes: Sequence[Change], deadline: Deadline) -> list[Outcome]:
        """See `consume.Branch`. Replays, backfills and replicated items are no news, and send nothing."""
        planned = [[self._plan(rule, change) for rule in self.rules] for change in changes]
        sendings = [each for plan in planned for each in plan if isinstance(each, Sending)]
        suppressed = self._suppressed(sendings, deadline)
        places = [at for at, plan in enumerate(planned) if any(isinstance(each, Sending) for each in plan)]

        def serve(group: list[int]) -> list[Outcome]:
            return [self._ended(planned[at], suppressed, deadline) for at in group]

        served = per_item(changes, places, serve, self.parallel, deadline)
        return [
            served[at] if at in served else outcomes.combine(each for each in plan if isinstance(each, Outcome))
            for at, plan in enumerate(planned)
        ]

    def _plan(self, rule: Rule, change: Change) -> Sending | Outcome:
        if change.origin is not Origin.STREAM or change.replicated:
            return IGNORED
        try:
            item = rule.on.item(change)
            if item is None or not rule.wants(item):
                return IGNORED
            return self._sending(rule, change, item)
        except Rejected as error:
            return outcomes.parked(_named(rule, error))

    def _sending(self, rule: Rule, change: Change, item: Image) -> Sending:
        of = f"{rule.name}|{identity(change.keys.raw)}"
        if rule.again == "each":
            of += f"|{versions.position_of(change.version)}"
        age = self.max_age_seconds if rule.max_age_seconds is None else rule.max_age_seconds
        late = change.created is not None and self.now() - change.created > age
        return Sending(rule, compose(rule, item, bounded(of, CLAIM_ID_BYTES)), late)

    def _suppressed(self, sendings: Sequence[Sending], deadline: Deadline) -> set[str] | Unavailable:
        """One look for the whole batch."""
        addresses = {each.message.to for each in sendings if each.message.to}
        try:
            return self.suppressions.among(addresses, deadline) if addresses else set()
        except Unavailable as error:
            return error

    def _ended(
        self, plan: Sequence[Sending | Outcome], suppressed: set[str] | Unavailable, deadline: Deadline
    ) -> Outcome:
        return outcomes.combine(
            self._serve(each, suppressed, deadline) if isinstance(each, Sending) else each for each in plan
        )

    def _serve(self, sending: Sending, suppressed: set[str] | Unavailable, deadline: Deadline) -> Outcome:
        try:
            if isinstance(suppressed, Unavailable):
                raise suppressed
            if sending.message.to in suppressed:
                return _SUPPRESSED
            if sending.late:
                return self._settled(sending, self.claims.look(sending.message.id), deadline)
            return self._claimed(sending, self.claims.take, deadline)
        except Rejected as error:
            return outcomes.parked(_named(sending.rule, error))
        except Unavailable as error:
            return outcomes.failed(_named(sending.rule, error))

    def _claimed(self, sending: Sending, take: Callable[[str, str, float], Claim], deadline: Deadline) -> Outcome:
        """Only what can be confirmed in the time left is claimed."""
        self.pace.take(deadline, SEND_SECONDS)
        if deadline.left() < SEND_SECONDS:
            self.pace.give_back()
            raise Unavailable("not begun: a message is only begun if its confirmation fits the time left")
        owner = uuid4().hex
        claim = take(sending.message.id, owner, deadline.left() + deadline.reserve + LEASE_MARGIN_SECONDS)
        if claim is Claim.GRANTED:
            return self._sent(sending, owner)
        self.pace.give_back()
        return self._settled(sending, claim, deadline)

    def _settled(self, sending: Sending, claim: Claim | None, deadline: Deadline) -> Outcome:
        """By what others did, or began and left open."""
        match claim:
            case None:
                return _LATE
            case Claim.SENT:
                return SUPERSEDED
            case Claim.UNKNOWN if sending.rule.on_unknown == "resend":
                return self._claimed(sending, self.claims.take_over, deadline)._replace(metric=UNKNOWN)
            case Claim.UNKNOWN:
                return self._unknown(sending, "a crash came between sending and its confirmation")
        raise Unavailable("another invocation is sending this message, or died doing so: its lease runs")

    def _sent(self, sending: Sending, owner: str) -> Outcome:
        id = sending.message.id
        try:
            message_id = self.channels[sending.rule.channel].send(sending.message)
        except MaybeSent as error:
            self.claims.give_up(id, owner)
            return self._unknown(sending, str(error), error.detail)
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

    def _unknown(self, sending: Sending, cause: str, detail: str = "") -> Outcome:
        """Parked, or left to the next delivery, which sends it again."""
        ended = outcomes.failed if sending.rule.on_unknown == "resend" else outcomes.parked
        return ended(_named(sending.rule, Rejected(f"unknown: {cause}", detail)))._replace(metric=UNKNOWN)


def _named(rule: Rule, error: DistributaryError) -> DistributaryError:
    return type(error)(f"rule '{rule.name}': {error}", error.detail)
