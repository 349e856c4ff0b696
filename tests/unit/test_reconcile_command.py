"""A command is answered with one outcome per item, and what is no command is refused with what to give."""

import json

import pytest

from distributary.consumer.consume import Deployment, consume
from distributary.consumer.deadline import FOREVER, Deadline
from distributary.consumer.outcome import APPLIED, SUPERSEDED, Status
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.reconcile import LOOKS, MOST_KEYS, MOVING, Reconcile, in_batches, requests
from distributary.consumer.streams import Streams
from distributary.consumer.telemetry import Telemetry
from distributary.derive import Aggregate, Entity, Latest, Projection
from distributary.derive.branch import row_id
from distributary.derive.factory import reconciler
from distributary.derive.reconcile import BROKEN
from distributary.errors import ConfigError, ForeignStream
from distributary.stream import version as versions
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.keys import identity
from distributary.stream.records import decode
from tests.fakes.answers import refusal
from tests.fakes.built import DERIVED, derive
from tests.fakes.dynamodb import DynamoDB
from tests.replaced import replace
from tests.unit.branches import Bucket, Context, Ledger
from tests.unit.records import ARN, FIRST_SEQUENCE, stream_record

USER = Entity(name="user", keys=("id",), attributes=("name", "tags", "text", "ends"))
VIEWS = [
    Projection(name="profile", of=USER, pk="USER#{id}", sk="PROFILE", keep=("name",)),
    Projection(name="by-tag", of=USER, pk="TAG#{each}", sk="{id}", each="tags"),
]
SCHEMAS = {"source": {"id": "S"}, **DERIVED}


def command(*entries):
    return {"distributary": {"reconcile": list(entries)}}


def entry(name="a", **more):
    return {"key": {"id": {"S": name}}, **more}


def deployed(reconcile=None, branch="derive"):
    parking = Parking(Bucket(), "parking", branch, Parallel(2))
    return Deployment(Ledger(APPLIED), parking, Telemetry(branch), Streams(0), reconcile)


class Town:
    """A source with a derive function that missed everything so far."""

    def __init__(self):
        self.service = DynamoDB(SCHEMAS)
        self.branch = derive(VIEWS, self.service)
        self.deployed = deployed(reconciler(self.branch, lambda: "source", 0))

    def put(self, id, **more):
        self.service.put_item(TableName="source", Item={"id": {"S": id}, **more})

    def reconcile(self, *entries):
        return [end["status"] for end in consume(command(*entries), Context(), self.deployed)["outcomes"]]

    def rows(self):
        return sorted(self.service.state["derived"])


def test_a_command_makes_the_rows_that_the_items_of_now_make():
    town = Town()
    town.put("a", name={"S": "Ann"}, tags={"SS": ["red"]})
    assert town.reconcile(entry("a"), entry("gone")) == ["Applied", "Superseded"]
    assert town.rows() == [("TAG#red", "a"), ("USER#a", "PROFILE")]
    assert town.reconcile(entry("a")) == ["Superseded"]


def test_a_command_removes_the_rows_of_an_item_that_is_gone():
    town = Town()
    town.put("a", name={"S": "Ann"}, tags={"SS": ["red"]})
    town.reconcile(entry("a"))
    town.service.delete_item(TableName="source", Key={"id": {"S": "a"}})
    assert town.reconcile(entry("a", version="7")) == ["Applied"]
    assert town.rows() == []


def test_an_item_that_a_view_rejects_is_parked_and_the_others_go_through():
    town = Town()
    town.put("a", name={"S": "Ann"}, tags={"S": "no set"})
    town.put("b", name={"S": "Bob"})
    ends = consume(command(entry("a"), entry("b")), Context(), town.deployed)["outcomes"]
    assert [end["status"] for end in ends] == ["Parked", "Applied"]
    assert ends[0]["cause"].startswith("view 'by-tag': each")
    assert town.rows() == [("USER#a", "PROFILE"), ("USER#b", "PROFILE")]


def test_an_item_whose_row_the_table_refuses_is_parked_with_the_cause():
    town = Town()
    town.put("a", name={"S": "x" * 409_520})
    town.put("b", name={"S": "Bob"})
    ends = consume(command(entry("a"), entry("b")), Context(), town.deployed)["outcomes"]
    assert [(end["status"], end["cause"]) for end in ends] == [
        ("Parked", "view 'profile': row PutItem: ValidationException"),
        ("Applied", ""),
    ]


class Moving:
    """Another writer puts the row of item `a` anew before each write of it."""

    def __init__(self, service):
        self.service, self.puts = service, 0

    def __getattr__(self, operation):
        return getattr(self.service, operation)

    def put_item(self, **arguments):
        row = arguments["Item"]
        if row.get("pk") == {"S": "USER#a"}:
            self.puts += 1
            theirs = {**row, "name": {"S": "theirs"}, REPLICA_VERSION: {"S": versions.to_text(self.puts)}}
            self.service.put_item(TableName=arguments["TableName"], Item=theirs)
        return self.service.put_item(**arguments)


def test_an_item_whose_row_changes_at_every_look_fails_and_no_other_does():
    town = Town()
    client = Moving(town.service)
    town.deployed = deployed(reconciler(derive(VIEWS, client), lambda: "source", 0))
    town.put("a", name={"S": "Ann"})
    town.put("b", name={"S": "Bob"})
    ends = consume(command(entry("a"), entry("b")), Context(), town.deployed)["outcomes"]
    assert ends == [{"status": "Failed", "cause": MOVING.cause}, {"status": "Applied", "cause": ""}]
    assert client.puts == LOOKS


def test_an_item_that_is_right_is_looked_at_once():
    town = Town()
    town.put("a", name={"S": "Ann"})
    town.reconcile(entry("a"))
    town.service.calls.clear()
    assert town.reconcile(entry("a")) == ["Superseded"]
    assert town.service.calls == {"BatchGetItem": 4}


def test_a_right_row_that_a_change_could_still_replace_is_written_again():
    """It is older than the changes that the command stands for, or than a tombstone beside it."""
    town = Town()
    town.put("a", name={"S": "Ann"})
    assert town.reconcile(entry("a", version="5")) == ["Applied"]
    assert town.reconcile(entry("a", version="9")) == ["Applied"]
    row = lambda: town.service.state["derived"]["USER#a", "PROFILE"][REPLICA_VERSION]["S"]  # noqa: E731
    assert versions.version_in(row()) == 9
    profile = town.branch.views[0]
    town.branch.register.tombstones.put_tombstone(row_id(profile, "USER#a", "PROFILE"), 12)
    assert town.reconcile(entry("a")) == ["Applied"]
    assert versions.version_in(row()) == 12
    assert town.reconcile(entry("a")) == ["Superseded"]


def test_a_row_that_the_table_refuses_is_put_once():
    town = Town()
    town.put("a", name={"S": "x" * 409_520}, tags={"SS": ["red"]})
    assert town.reconcile(entry("a")) == ["Parked"]
    town.service.calls.clear()
    assert town.reconcile(entry("a")) == ["Parked"]
    assert town.service.calls["PutItem"] == 1


def test_after_the_deadline_no_row_of_a_batch_is_written():
    town = Town()
    for id in "ab":
        town.put(id, name={"S": id})
    town.service.calls.clear()
    reconcile = reconciler(derive(VIEWS, town.service), lambda: "source", 0)
    asked = [Reconcile({"id": {"S": id}}) for id in "ab"]
    calls = town.service.calls
    ends = reconcile(asked, Deadline(2, clock=lambda: calls["PutItem"]))
    assert [end.status for end in ends] == [Status.FAILED] * 2
    assert len(town.rows()) == 1


class Ledgered(Town):
    """With views on the ledger, and one that keeps what TTL takes."""

    views = (
        Aggregate(name="sums", of=USER, pk="SUM", sk="SUM", count="users"),
        Projection(name="large", of=USER, pk="LARGE-ROWS#{name}", sk="{id}", keep=("text",)),
        Latest(name="newest", of=USER, pk="NEWEST", sk="NEWEST", by="name"),
        Projection(name="kept", of=USER, pk="KEPT#{id}", sk="KEPT", on_expiry="keep"),
        Projection(name="kept-by-name", of=USER, pk="KEPTBY#{name}", sk="{id}", on_expiry="keep"),
    )

    def __init__(self, wrap=lambda service: service):
        self.service = DynamoDB(SCHEMAS)
        self.branch = derive(self.views, wrap(self.service))
        self.deployed = deployed(reconciler(self.branch, lambda: "source", 0))

    def kept(self):
        return [key for key in self.rows() if key[0].startswith("KEPT")]

    def ends(self, *entries):
        found = consume(command(*entries), Context(), self.deployed)["outcomes"]
        return [(end["status"], end["cause"]) for end in found]


def test_a_view_that_cannot_take_the_item_holds_no_other_view_back():
    town = Ledgered()
    town.put("a", name={"S": "Ann"}, text={"S": "x" * 409_582})
    for version in ({}, {"version": "7"}):
        ((status, cause),) = town.ends(entry("a", **version))
        assert (status, cause.partition(":")[0]) == ("Parked", "view 'large'")
    assert ("SUM", "SUM") in town.rows()
    assert ("LARGE-ROWS#Ann", "a") not in town.rows()


def test_what_an_application_deleted_is_not_kept_and_what_ttl_took_is():
    town = Ledgered()
    town.put("a", name={"S": "Ann"})
    town.reconcile(entry("a", version="5"))
    town.service.delete_item(TableName="source", Key={"id": {"S": "a"}})
    town.reconcile(entry("a", version="7"))
    assert town.kept() == [("KEPT#a", "KEPT"), ("KEPTBY#Ann", "a")]
    town.reconcile(entry("a", version="7", removed=True))
    assert town.kept() == []


def test_a_delete_from_before_the_kept_row_was_made_takes_nothing():
    town = Ledgered()
    town.put("a", name={"S": "Ann"})
    town.reconcile(entry("a", version="9"))
    town.service.delete_item(TableName="source", Key={"id": {"S": "a"}})
    town.reconcile(entry("a", version="7", removed=True))
    assert town.kept() == [("KEPT#a", "KEPT"), ("KEPTBY#Ann", "a")]


class Kept(Ledgered):
    """Hears of an item that TTL takes, at positions 0 and 1."""

    def hears(self, *changes):
        assert {end.status for end in self.branch.apply(changes, FOREVER)} <= {Status.APPLIED, Status.SUPERSEDED}

    def record(self, place, kind="INSERT", **more):
        body = {"Keys": {"id": {"S": "a"}}, "SequenceNumber": str(FIRST_SEQUENCE + place)}
        image = {"NewImage" if kind == "INSERT" else "OldImage": {"id": {"S": "a"}, "name": {"S": "Ann"}}}
        record = stream_record(place, kind, eventSourceARN=ARN.replace("table/users", "table/source"), **more)
        (change,) = decode({"Records": [{**record, "dynamodb": {**record["dynamodb"], **image, **body}}]}, 0)
        return change

    def expired(self, place):
        return self.record(place, "REMOVE", userIdentity={"type": "Service", "principalId": "dynamodb.amazonaws.com"})

    def asked(self, place=None, **more):
        version = {} if place is None else {"version": str(FIRST_SEQUENCE + place)}
        return self.reconcile(entry("a", **version, **more))

    def marks(self):
        row = self.service.state["derived"]["KEPT#a", "KEPT"][REPLICA_VERSION]["S"]
        (ledger,) = [row for (id,), row in self.service.state["ledger"].items() if id.startswith("kept-by-name|")]
        return versions.mark_in(row), ledger["kept"]["BOOL"]


BOTH = [("KEPT#a", "KEPT"), ("KEPTBY#Ann", "a")]


def test_what_ttl_took_is_marked_in_a_view_and_no_reconcile_removes_it():
    town = Kept()
    town.hears(town.record(0))
    assert town.marks() == (versions.LIVE, False)
    town.hears(town.expired(1))
    assert town.marks() == (versions.KEPT, True)
    for asked in ({}, {"place": 0}, {"place": 0, "removed": True}, {"place": 1, "expired": True}):
        assert town.asked(**asked) == ["Superseded"]
    assert town.kept() == BOTH


def test_a_view_keeps_what_ttl_took_whichever_of_its_changes_comes_first():
    town = Kept()
    town.hears(town.expired(1))
    town.hears(town.record(0))
    assert (town.kept(), town.marks()) == (BOTH, (versions.KEPT, True))


def test_what_a_lost_delete_left_in_a_view_that_keeps_goes_with_a_sweep():
    town = Kept()
    town.hears(town.record(0))
    town.asked(0)
    assert town.kept() == BOTH
    assert town.asked() == ["Applied"]
    assert town.kept() == []


def test_a_lost_record_of_ttl_marks_what_a_view_keeps_once_it_is_reconciled():
    town = Kept()
    town.hears(town.record(0))
    assert town.asked(1, expired=True) == ["Applied"]
    assert town.marks() == (versions.KEPT, True)
    assert town.asked() == ["Superseded"]
    town.hears(town.record(0), town.expired(1))
    assert (town.kept(), town.marks()) == (BOTH, (versions.KEPT, True))
    assert town.asked(2, removed=True) == ["Applied"]
    assert town.kept() == []


def test_a_reconciled_record_of_ttl_without_a_row_leaves_room_for_the_record():
    town = Kept()
    assert town.asked(1, expired=True) == ["Applied"]
    town.hears(town.record(0))
    assert town.kept() == []
    town.hears(town.expired(1))
    assert town.kept() == BOTH


def test_a_record_of_ttl_whose_version_is_not_known_writes_nothing():
    town = Kept()
    assert town.asked(expired=True) == ["Superseded"]
    assert (town.rows(), town.service.state["tombstones"]) == ([], {})


def test_what_a_reconciled_put_stands_for_brings_nothing_back():
    """Only a record of TTL may still take effect: an insert that is delivered again finds its item gone."""
    town = Kept()
    assert town.asked(0) == ["Applied"]
    town.hears(town.record(0))
    assert town.kept() == []


def test_a_record_of_ttl_from_before_the_kept_row_was_made_marks_nothing():
    town = Kept()
    town.hears(town.record(2))
    town.asked(1, expired=True)
    assert town.marks() == (versions.LIVE, False)


def test_a_kept_row_gets_the_mark_of_ttl_whatever_its_version():
    town = Kept()
    town.hears(town.record(0))
    assert town.asked(0, expired=True) == ["Applied"]
    assert town.marks() == (versions.KEPT, True)


def test_a_kept_row_that_is_marked_gets_the_version_of_ttls_record():
    """No change that came before that record takes effect after it."""
    town = Kept()
    town.hears(town.record(0), town.expired(1))
    assert town.asked(5, expired=True) == ["Applied"]
    town.hears(town.record(3), town.record(5))
    assert town.marks() == (versions.KEPT, True)


def test_only_a_view_that_keeps_what_ttl_takes_leaves_room_for_its_record():
    town = Kept()
    town.asked(1, expired=True)
    town.hears(town.record(1))
    assert ("SUM", "SUM") not in town.rows()


def test_an_item_that_was_made_again_gets_the_whole_version_of_ttls_record():
    town = Kept()
    town.put("a", name={"S": "Ann"})
    town.asked(1, expired=True)
    row = town.service.state["derived"]["KEPT#a", "KEPT"]
    assert versions.version_in(row[REPLICA_VERSION]["S"]) == FIRST_SEQUENCE + 1


def test_what_a_view_kept_before_there_were_marks_stays():
    town = Kept()
    town.hears(town.record(0))
    for row in town.service.state["ledger"].values():
        row.pop("kept", None)
    row = town.service.state["derived"]["KEPT#a", "KEPT"]
    row[REPLICA_VERSION] = {"S": row[REPLICA_VERSION]["S"].rstrip(versions.LIVE)}
    assert town.asked() == ["Applied"]
    assert town.kept() == BOTH


def test_what_the_service_refuses_is_the_cause_and_not_that_the_item_moves():
    class Denying:
        def __init__(self, service):
            self.service = service

        def __getattr__(self, operation):
            return getattr(self.service, operation)

        def transact_write_items(self, **_):
            raise refusal("TransactWriteItems", "AccessDeniedException", "no", 400)

    town = Ledgered(Denying)
    town.put("a", name={"S": "Ann"})
    ((status, cause),) = town.ends(entry("a"))
    assert status in ("Failed", "Parked")
    assert "AccessDenied" in cause


def test_a_ledger_row_of_a_later_release_is_not_written_over():
    town = Ledgered()
    town.put("a", name={"S": "Ann"})
    town.reconcile(entry("a"))
    (row,) = [row for (id,), row in town.service.state["ledger"].items() if id.startswith("sums|")]
    row["format"] = {"N": "2"}
    town.put("a", name={"S": "Zoe"})
    with pytest.raises(ConfigError, match="a row of the ledger has format 2"):
        consume(command(entry("a")), Context(), town.deployed)
    assert row["format"] == {"N": "2"}


def test_a_missing_member_row_is_named_and_not_said_to_move():
    town = Ledgered()
    town.put("a", name={"S": "Ann"})
    town.reconcile(entry("a"))
    (member,) = [key for key in town.service.state["derived"] if key[0].startswith("%")]
    del town.service.state["derived"][member]
    assert town.ends(entry("a")) == [("Parked", f"view 'newest': {BROKEN.cause}")]


def test_a_member_row_that_is_missing_at_one_look_only_is_no_broken_group():
    class ReadDuringAWrite:
        def __init__(self, service):
            self.service, self.times = service, 0

        def __getattr__(self, operation):
            return getattr(self.service, operation)

        def batch_get_item(self, **arguments):
            answer = self.service.batch_get_item(**arguments)
            rows = answer["Responses"].get("derived", [])
            kept = [row for row in rows if not row["pk"]["S"].startswith("%")]
            if self.times and kept != rows:
                answer["Responses"]["derived"], self.times = kept, self.times - 1
            return answer

    clients = []
    town = Ledgered(lambda service: clients.append(ReadDuringAWrite(service)) or clients[0])
    town.put("a", name={"S": "Ann"})
    town.reconcile(entry("a"))
    clients[0].times = 1
    ((status, _),) = town.ends(entry("a"))
    assert status in ("Applied", "Superseded")
    assert clients[0].times == 0


def test_a_row_that_its_ttl_took_leaves_the_version_that_it_was_set_right_at():
    view = Projection(name="short", of=USER, pk="S#{id}", sk="S", expires_at="ends")
    town = Town()
    town.branch = derive([view], town.service)
    town.deployed = deployed(reconciler(town.branch, lambda: "source", 0))
    town.put("a", ends={"N": "2000"})
    town.reconcile(entry("a", version="9"))
    del town.service.state["derived"]["S#a", "S"]
    (tombstone,) = town.service.state["tombstones"].values()
    assert int(tombstone["version"]["S"][:46]) == 9


def test_a_sink_that_belongs_to_another_stream_is_not_written_by_a_command():
    town = Town()
    town.put("a", name={"S": "Ann"})

    def foreign(stream, generation):
        raise ForeignStream("the tables belong to another stream")

    town.deployed = replace(town.deployed, streams=Streams(0, {ARN: 0}, foreign))
    assert town.reconcile(entry("a")) == ["Failed"]
    assert town.rows() == []


def test_a_command_without_the_source_tables_name_is_refused():
    town = Town()

    def unknown():
        raise ConfigError("STREAMS is missing")

    town.deployed = deployed(reconciler(town.branch, unknown, 0))
    with pytest.raises(ConfigError, match="STREAMS is missing"):
        consume(command(entry("a")), Context(), town.deployed)


def test_a_command_may_be_for_some_views_alone():
    town = Town()
    town.put("a", name={"S": "Ann"}, tags={"SS": ["red"]})
    event = {"distributary": {"reconcile": [entry("a")], "only": ["by-tag"]}}
    assert consume(event, Context(), town.deployed)["outcomes"] == [{"status": "Applied", "cause": ""}]
    assert town.rows() == [("TAG#red", "a")]
    event["distributary"]["only"] = ["by-tags"]
    with pytest.raises(ConfigError, match="nothing is called 'by-tags' here: this function keeps by-tag, profile"):
        consume(event, Context(), town.deployed)


@pytest.mark.parametrize("places", ["59", "95"])
def test_an_item_named_twice_is_read_once_and_answered_twice(places):
    town = Town()
    town.put("a", name={"S": "Ann"})
    assert town.reconcile(*(entry("a", version=place) for place in places)) == ["Applied", "Applied"]
    assert town.service.state["derived"]["USER#a", "PROFILE"]["_distributary_version"]["S"].startswith("0" * 45 + "9")


def test_a_command_without_time_left_fails_what_it_has_not_reached():
    town = Town()
    town.put("a")
    assert consume(command(entry("a")), Context(0.0), town.deployed)["outcomes"][0]["status"] == "Failed"


def test_the_items_that_a_command_has_no_time_for_fail_and_are_not_begun():
    asked, begun = [Reconcile({"id": {"S": name}}) for name in "abc"], []

    def batch(some):
        begun.extend(some)
        return dict.fromkeys(some, APPLIED)

    ends = in_batches(asked, 2, batch, Deadline(1, clock=lambda: len(begun) / 2))
    assert [end.status for end in ends] == [Status.APPLIED, Status.APPLIED, Status.FAILED]
    assert begun == [identity(each.keys) for each in asked[:2]]


def test_items_of_a_command_count_as_reconciled_and_as_nothing_else(capsys):
    consume(command(entry(), entry("b")), Context(), deployed(lambda asked, _: [SUPERSEDED] * len(asked)))
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert line["Reconciled"] == [2.0]
    assert "Received" not in line


def test_an_event_branch_refuses_to_reconcile():
    with pytest.raises(ConfigError, match="welcome does not reconcile items"):
        consume(command(entry()), Context(), deployed(branch="welcome"))


def test_keys_come_as_dynamodb_json_and_binary_ones_as_base64():
    asked = {
        "key": {"id": {"B": "AAE="}, "at": {"N": "1"}},
        "version": "12",
        "removed": True,
        "record": {"eventID": "1"},
    }
    (found,) = requests(command(asked))
    assert found == Reconcile({"id": {"B": b"\x00\x01"}, "at": {"N": "1"}}, 12, True, record={"eventID": "1"})


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"key": {}},
        {"key": {"a": {"S": "1"}, "b": {"S": "1"}, "c": {"S": "1"}}},
        {"key": {"a": "1"}},
        {"key": {"a": {"SS": ["1"]}}},
        {"key": {"a": {"X": "1"}}},
        {"key": {"a": "S"}},
        {"key": {"a": ["S"]}},
        {"key": {"a": {"S": "1", "N": "1"}}},
        {"key": {"a": {"NULL": "1"}}},
        {"key": "a"},
        {"key": [["a", {"S": "1"}]]},
        {"key": {"a": {"S": 1}}},
        {"key": {"a": {"B": "?"}}},
        {"key": {"a": {"S": "1"}}, "version": "one"},
        {"key": {"a": {"S": "1"}}, "version": 1},
        {"key": {"a": {"S": "1"}}, "record": "a record"},
        {"key": {"a": {"S": "1"}}, "record": []},
        "key",
        None,
    ],
    ids=str,
)
def test_an_entry_that_cannot_be_read_is_named_by_its_place(bad):
    with pytest.raises(ConfigError, match="reconcile entry 1: give key"):
        requests(command(entry(), bad))


@pytest.mark.parametrize("names", ["sales", {"sales": 1}, ["sales", 1], None])
def test_a_command_for_names_that_are_no_list_is_refused(names):
    with pytest.raises(ConfigError, match="the command's 'only' is no list of names"):
        requests({"distributary": {"reconcile": [entry()], "only": names}})


@pytest.mark.parametrize("table", [None, 1, ["orders"]])
def test_a_command_for_a_table_that_is_no_name_is_refused(table):
    with pytest.raises(ConfigError, match="the command's 'table' is no table's name"):
        requests({"distributary": {"reconcile": [entry()], "table": table}})


def test_a_command_takes_as_many_entries_as_it_says():
    assert len(requests(command(*[entry()] * MOST_KEYS))) == MOST_KEYS


def test_a_command_that_asks_for_nothing_is_answered_with_nothing():
    assert consume(command(), Context(), deployed(lambda asked, _: [SUPERSEDED] * len(asked))) == {"outcomes": []}


@pytest.mark.parametrize("wrong", [None, 5, "distributary", ["distributary"], {}])
def test_an_event_that_is_no_object_of_ours_is_neither_batch_nor_command(wrong):
    with pytest.raises(ConfigError, match="see events/"):
        consume(wrong, Context(), deployed(lambda asked, _: [SUPERSEDED] * len(asked)))


def test_an_event_with_records_is_a_batch_whatever_else_is_in_it():
    branch = Ledger(APPLIED)
    batch = {"Records": [stream_record(0)], **command(entry())}
    found = consume(batch, Context(), replace(deployed(), branch=branch))
    assert (found, len(branch.seen)) == ({"batchItemFailures": []}, 1)


def test_a_command_binds_the_stream_of_its_table_and_no_other():
    orders, bound = ARN.replace("users", "orders"), []
    streams = Streams(0, {ARN: 0, orders: 0}, lambda stream, _: bound.append(stream), (ARN, orders))
    ours = replace(deployed(lambda asked, _: [SUPERSEDED] * len(asked)), streams=streams)
    consume({"distributary": {"reconcile": [entry()], "table": "orders"}}, Context(), ours)
    assert bound == [orders]


@pytest.mark.parametrize("event", [{"distributary": {}}, {"distributary": 1}, command(*[entry()] * (MOST_KEYS + 1))])
def test_a_command_without_a_list_of_entries_is_refused(event):
    with pytest.raises(ConfigError, match=f"at most {MOST_KEYS} entries"):
        requests(event)
