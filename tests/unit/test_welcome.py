"""Who is written to, when, and when not; and nothing of it in a log line."""

import json

import pytest

from distributary.consumer.consume import Deployment, consume
from distributary.consumer.deadline import Deadline
from distributary.consumer.parking import Parking
from distributary.consumer.streams import Streams
from distributary.consumer.telemetry import Telemetry
from distributary.errors import Rejected, Unavailable
from distributary.stream.version import position_of
from distributary.welcome.channels import MaybeSent
from distributary.welcome.messages import ADDRESS
from distributary.welcome.rules import check
from distributary.welcome.triggers import EXPIRED, became
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.serial import Serial
from tests.replaced import replace
from tests.unit.branches import Bucket, Context
from tests.unit.mail import AMPLE, USER, Office, rule, user
from tests.unit.records import change, event, stream_record

TTL = {"userIdentity": {"type": "Service", "principalId": "dynamodb.amazonaws.com"}}
ACTIVE = rule(on=became("status", "active"))


def status(text):
    return user(status={"S": text})


def test_a_new_user_is_written_to_once_however_often_the_record_comes():
    office, new = Office(), change(0, new=user())
    assert [office.statuses(new, new), office.statuses(new)] == [["Applied", "Superseded"], ["Superseded"]]
    assert office.mail.state == [("ada@example.com", "Welcome, Ada", "Hello Ada!")]


def test_a_change_of_another_table_sends_nothing():
    office = Office(rule(of=replace(USER, table="orders")))
    assert (office.statuses(change(0, new=user())), office.sent) == (["Ignored"], [])


@pytest.mark.parametrize(
    ("kind", "old", "new", "sent"),
    [
        ("MODIFY", status("new"), status("active"), 1),
        ("MODIFY", user(), status("active"), 1),
        ("INSERT", None, status("active"), 1),
        ("MODIFY", status("active"), status("active"), 0),
        ("MODIFY", status("active"), status("gone"), 0),
        ("MODIFY", status("new"), user(), 0),
        ("REMOVE", status("active"), None, 0),
    ],
)
def test_a_transition_is_an_attribute_that_takes_the_value(kind, old, new, sent):
    office = Office(ACTIVE)
    office.apply(change(0, kind, "u-1", new, old))
    assert len(office.sent) == sent


def test_a_transition_to_a_truth_is_none_to_a_number():
    office = Office(rule(on=became("visits", 1)))
    office.apply(change(0, new=user(visits={"BOOL": True})), change(1, user="u-2", new=user(visits={"N": "1.0"})))
    assert len(office.sent) == 1


def test_an_expiry_is_a_delete_by_ttl_and_no_other():
    office = Office(rule(on=EXPIRED))
    ends = office.statuses(change(0, "REMOVE", "u-1", None, user()), change(1, "REMOVE", "u-2", None, user(), **TTL))
    assert (ends, office.sent) == (["Ignored", "Applied"], ["ada@example.com"])


@pytest.mark.parametrize(("again", "sent"), [("never", 1), ("each", 2)])
def test_a_user_who_comes_back_is_new_only_if_the_rule_says_so(again, sent):
    office = Office(rule(again=again))
    life = [change(0, new=user()), change(1, "REMOVE", "u-1", None, user()), change(2, new=user())]
    for batch in (life, life[:1], life[1:], life):
        office.apply(*batch)
    assert len(office.sent) == sent


def test_each_transition_is_one_message_in_every_generation():
    office, records = Office(rule(on=became("status", "active"), again="each")), []
    for place in range(0, 4, 2):
        records += [change(place, "MODIFY", "u-1", status("active"), status("new"))]
    office.apply(*records)
    office.apply(change(0, "MODIFY", "u-1", status("active"), status("new"), generation=1))
    assert len(office.sent) == 2


@pytest.mark.parametrize("origin", ["snapshot", "redrive"])
def test_replays_and_backfills_write_to_nobody(origin):
    office = Office()
    assert office.statuses(change(0, new=user(), distributary={"origin": origin})) == ["Ignored"]
    assert office.sent == []


def test_what_the_replicator_wrote_is_no_news():
    office = Office()
    replica = user(_distributary_version={"S": "0" * 46})
    assert office.statuses(change(0, new=replica)) == ["Ignored"]


def test_a_record_that_is_too_old_for_its_rule_writes_to_nobody():
    office = Office(rule(), rule(name="patient", max_age_seconds=7200))
    office.clock += 3700
    assert office.statuses(change(0, new=user())) == ["Applied"]
    assert [row["id"]["S"].split("|")[0] for row in office.client.state["claims"].values()] == ["patient"]


@pytest.mark.parametrize(("on_unknown", "ends", "sent"), [("park", "Parked", 0), ("resend", "Parked", 0)])
def test_what_was_begun_in_time_is_settled_however_late(on_unknown, ends, sent):
    office, new = Office(rule(on_unknown=on_unknown)), change(0, new=user())
    office.branch().claims.take("welcome|user_id=S:u-1", "dead", 30.0)
    office.clock += 5000
    (end,) = office.apply(new)
    assert (end.status.value, end.metric, len(office.sent)) == (ends, "Unknown", sent)
    assert office.statuses(change(1, user="u-2", new=user())) == ["Ignored"]


def test_consent_is_asked_for():
    office = Office(rule(consent="news"))
    yes, no = user(news={"BOOL": True}), user(news={"BOOL": False})
    assert office.statuses(change(0, new=yes), change(1, user="u-2", new=no)) == ["Applied", "Ignored"]


def test_who_bounced_or_complained_is_written_to_no_more_by_any_rule():
    office = Office(rule(), rule(name="again", on=became("status", "active")))
    office.suppressions.add("ADA@example.com", "bounce")
    news = [change(0, new=status("active")), change(1, user="u-2", new=user(email={"S": "eve@example.com"}))]
    assert office.statuses(*news) == ["Ignored", "Applied"]
    assert office.sent == ["eve@example.com"]


def test_a_message_costs_one_read_request_and_two_writes():
    office = Office()
    people = [change(n, user=f"u-{n}", new=user(email={"S": f"{n}@example.com"})) for n in range(100)]
    office.apply(*people)
    calls = {name: many for name, many in office.client.calls.items() if many}
    assert calls == {"BatchGetItem": 100, "PutItem": 100, "UpdateItem": 100}


def test_a_complaint_about_the_first_message_of_a_batch_stops_the_rest():
    office = Office(rule(), rule(name="second"))

    class Complaining:
        recipient, templates = ADDRESS, True

        def send(self, message):
            office.suppressions.add(message.to, "complaint")
            sent.append(message.rule)
            return "id"

    sent, office.channel = [], Complaining()
    (end,) = office.apply(change(0, new=user()))
    assert (sent, end.status.value) == (["welcome"], "Applied")


@pytest.mark.parametrize("on_unknown", ["park", "resend"])
def test_an_open_claim_is_settled_though_its_address_is_suppressed(on_unknown):
    office, new = Office(rule(on_unknown=on_unknown)), change(0, new=user())
    office.branch().claims.take("welcome|user_id=S:u-1", "dead", 30.0)
    office.suppressions.add("ada@example.com", "bounce")
    assert office.statuses(new) == ["Failed"]
    office.clock += 60
    (end,) = office.apply(new)
    assert (end.status.value, end.metric, office.sent) == ("Parked", "Unknown", [])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({}, {"name": "hello", "id": "welcome"}),
        ({"again": "each"}, {"again": "each", "name": "hello", "id": "welcome"}),
        ({"again": "never"}, {"again": "each"}),
        ({"again": "each"}, {"again": "never"}),
    ],
)
def test_a_renamed_rule_or_a_changed_again_sends_nothing_twice(before, after):
    office, new = Office(rule(**before)), change(0, new=user())
    assert office.statuses(new) == ["Applied"]
    office.rules = check([rule(**after)])
    assert office.statuses(new) == ["Superseded"]
    assert office.sent == ["ada@example.com"]


def test_after_never_became_each_a_later_event_is_news():
    office = Office(rule())
    office.apply(change(0, new=user()))
    office.rules = check([rule(again="each")])
    assert office.statuses(change(2, new=user()), change(0, new=user())) == ["Applied", "Superseded"]


@pytest.mark.parametrize("again", ["never", "each"])
def test_a_claim_of_version_0_1_still_holds_its_message(again):
    office, new = Office(rule(again=again)), change(0, new=user())
    id = "welcome|user_id=S:u-1" + (f"|{position_of(new.version)}" if again == "each" else "")
    row = {"id": {"S": id}, "state": {"S": "sent"}, "owner": {"S": "o"}, "lease": {"N": "1"}, "expires_at": {"N": "9"}}
    office.client.put_item(TableName="claims", Item=row)
    assert office.statuses(new) == ["Superseded"]


def test_the_same_key_in_another_table_is_another_item():
    office = Office()
    arn = "arn:aws:dynamodb:us-east-1:1:table/{}/stream/2026-11-26T00:00:00.000"
    ends = [office.statuses(change(0, new=user(), eventSourceARN=arn.format(table))) for table in "aba"]
    assert ends == [["Applied"], ["Applied"], ["Superseded"]]


@pytest.mark.parametrize(("again", "expires"), [("never", False), ("each", True)])
def test_only_claims_of_rules_that_send_again_expire(again, expires):
    office = Office(rule(again=again))
    office.apply(change(0, new=user()))
    (row,) = office.client.state["claims"].values()
    assert ("expires_at" in row) is expires


def test_an_unknown_outcome_is_resent_three_times_at_most_in_five_hours():
    """As SES when it accepts a message and answers after the timeout."""
    office, sent = Office(rule(on_unknown="resend", max_age_seconds=10**6)), []

    class Slow:
        recipient, templates = ADDRESS, True

        def send(self, message):
            sent.append(office.clock)
            raise MaybeSent("timed out")

    office.channel, ends = Slow(), []
    for _ in range(300):
        ends += office.apply(change(0, new=user()))
        office.clock += 60
    assert [at - sent[0] for at in sent] == [0, 60, 240]
    assert {end.status.value for end in ends[5:]} == {"Parked"}
    assert {end.metric for end in ends[5:]} == {"Unknown"}


class Counting:
    """A pace that counts what the branch says of it."""

    def __init__(self):
        self.said = []

    def __getattr__(self, name):
        return lambda *_: self.said.append(name)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (None, ["take", "accepted"]),
        (MaybeSent("broke"), ["take", "refused"]),
        (Unavailable("busy"), ["take", "refused"]),
        (Rejected("no"), ["take"]),
    ],
)
def test_a_send_that_may_have_failed_slows_the_next_ones(error, said):
    office, pace = Office(channel=Refusing(error) if error else None), Counting()
    replace(office.branch(), pace=pace).apply([change(0, new=user())], AMPLE)
    assert pace.said == said


def test_what_was_sent_before_takes_no_turn():
    office, pace = Office(), Counting()
    office.apply(change(0, new=user()))
    replace(office.branch(), pace=pace).apply([change(0, new=user())], AMPLE)
    assert pace.said == ["take", "give_back"]


def test_nothing_is_claimed_if_the_look_took_the_time_of_its_confirmation():
    office, clock = Office(), [0.0]

    class Slow(DynamoDB):
        def batch_get_item(self, **arguments):
            clock[0] += 55.0
            return super().batch_get_item(**arguments)

    office.client = Slow({"claims": {"id": "S"}})
    (end,) = office.apply(change(0, new=user()), deadline=Deadline(60.0, 0.0, lambda: clock[0]))
    assert (end.status.value, office.client.state["claims"]) == ("Failed", {})


def test_claims_and_suppressions_hold_no_address():
    office = Office()
    office.suppressions.add("ada@example.com", "complaint")
    office.apply(change(0, new=user(email={"S": "eve@example.com"})))
    assert "@" not in repr(office.client.state)


def test_rules_are_independent_of_each_other():
    office = Office(rule(), rule(name="other", to="name"))
    (end,) = office.apply(change(0, new=user()))
    assert (end.status.value, end.cause) == ("Parked", "rule 'other': 'name' is no e-mail address")
    assert office.sent == ["ada@example.com"]


class Refusing:
    """A channel that always ends in the same way."""

    recipient, templates = ADDRESS, True

    def __init__(self, error):
        self.error = error

    def send(self, message):
        raise self.error


REFUSALS = [Rejected("no", "to ada@example.com"), Unavailable("busy", "ada@example.com"), MaybeSent("broke", "ada@")]


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("on_unknown", ["park", "resend"])
def test_no_log_line_and_no_metric_holds_an_address_or_a_text(error, on_unknown, capsys, monkeypatch, request):
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", request.node.name)
    people = [user(), user(email={"S": "sentinel"}), user(name={"NULL": True}), {"name": {"S": "Ada"}}]
    event_of = event(*(stream_record(n, user=f"u-{n}", new=each) for n, each in enumerate(people)))
    for channel in (None, Refusing(error)):
        office = Office(rule(on_unknown=on_unknown), channel=channel)
        bucket = Bucket()
        deployed = Deployment(
            office.branch(), Parking(bucket, "b", "welcome", Serial()), Telemetry("welcome"), Streams(0)
        )
        consume(event_of, Context(), deployed)
        consume(event_of, Context(), deployed)
    said = capsys.readouterr()
    for secret in ("ada@", "Ada", "Hello", "sentinel", "u-1"):
        assert secret not in said.out + said.err
    assert any("rule 'welcome'" in line for line in said.out.splitlines())


def test_a_message_of_which_nobody_knows_is_counted(capsys):
    office = Office(channel=Refusing(MaybeSent("broke")))
    parking = Parking(Bucket(), "b", "welcome", Serial())
    consume(
        event(stream_record(0, new=user())), Context(), Deployment(office.branch(), parking, Telemetry("w"), Streams(0))
    )
    metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert [each["Unknown"] for each in metrics] == [[1]]


def test_a_message_names_the_change_that_it_is_about():
    office, new = Office(), change(0, new=user())
    branch = office.branch()
    plans = [branch._plan(rule, new) for rule in branch.rules]
    assert [plan.message.event for plan in plans] == [new.event_id]
