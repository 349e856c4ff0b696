"""A command is answered with one outcome per item, and what is no command is refused with what to give."""

import json

import pytest

from distributary.consumer.consume import Deployment, consume
from distributary.consumer.outcome import APPLIED, SUPERSEDED
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.reconcile import MOST_KEYS, Reconcile, requests
from distributary.consumer.streams import Streams
from distributary.consumer.telemetry import Telemetry
from distributary.derive import Entity, Projection
from distributary.derive.factory import reconciler
from distributary.errors import ConfigError
from tests.fakes.built import derive
from tests.fakes.dynamodb import DynamoDB
from tests.unit.branches import Bucket, Context, Ledger

USER = Entity(name="user", keys=("id",), attributes=("name", "tags"))
VIEWS = [
    Projection(name="profile", of=USER, pk="USER#{id}", sk="PROFILE", keep=("name",)),
    Projection(name="by-tag", of=USER, pk="TAG#{each}", sk="{id}", each="tags"),
]
SCHEMAS = {"source": {"id": "S"}, "derived": {"pk": "S", "sk": "S"}, "ledger": {"id": "S"}, "tombstones": {"id": "S"}}


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
        ("Parked", "row PutItem: ValidationException"),
        ("Applied", ""),
    ]


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


def test_an_item_named_twice_is_read_once_and_answered_twice():
    town = Town()
    town.put("a", name={"S": "Ann"})
    assert town.reconcile(entry("a", version="5"), entry("a", version="9")) == ["Applied", "Applied"]
    assert town.service.state["derived"]["USER#a", "PROFILE"]["_distributary_version"]["S"].startswith("0" * 45 + "9")


def test_a_command_without_time_left_fails_what_it_has_not_reached():
    town = Town()
    town.put("a")
    assert consume(command(entry("a")), Context(0.0), town.deployed)["outcomes"][0]["status"] == "Failed"


def test_items_of_a_command_count_as_reconciled_and_as_nothing_else(capsys):
    consume(command(entry(), entry("b")), Context(), deployed(lambda asked, _: [SUPERSEDED] * len(asked)))
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert line["Reconciled"] == [2.0]
    assert "Received" not in line


def test_an_event_branch_refuses_to_reconcile():
    with pytest.raises(ConfigError, match="welcome does not reconcile items"):
        consume(command(entry()), Context(), deployed(branch="welcome"))


def test_keys_come_as_dynamodb_json_and_binary_ones_as_base64():
    (found,) = requests(command({"key": {"id": {"B": "AAE="}, "at": {"N": "1"}}, "version": "12", "expired": True}))
    assert found == Reconcile({"id": {"B": b"\x00\x01"}, "at": {"N": "1"}}, 12, True)


@pytest.mark.parametrize(
    "bad",
    [
        {},
        {"key": {}},
        {"key": {"a": {"S": "1"}, "b": {"S": "1"}, "c": {"S": "1"}}},
        {"key": {"a": "1"}},
        {"key": {"a": {"SS": ["1"]}}},
        {"key": {"a": {"S": 1}}},
        {"key": {"a": {"B": "?"}}},
        {"key": {"a": {"S": "1"}}, "version": "one"},
        {"key": {"a": {"S": "1"}}, "version": 1},
        "key",
        None,
    ],
    ids=str,
)
def test_an_entry_that_cannot_be_read_is_named_by_its_place(bad):
    with pytest.raises(ConfigError, match="reconcile entry 1: give key"):
        requests(command(entry(), bad))


@pytest.mark.parametrize("event", [{"distributary": {}}, {"distributary": 1}, command(*[entry()] * (MOST_KEYS + 1))])
def test_a_command_without_a_list_of_entries_is_refused(event):
    with pytest.raises(ConfigError, match=f"at most {MOST_KEYS} entries"):
        requests(event)
