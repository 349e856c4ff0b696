"""A generation belongs to one stream: changes of any other stream fail, in every stack, until an operator says more."""

import json

import pytest

from distributary.consumer.consume import Deployment, consume
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.streams import Streams, bound_with, parse
from distributary.consumer.telemetry import Telemetry
from distributary.dynamodb.stream_bindings import StreamBindings
from distributary.dynamodb.tombstones import Tombstones
from distributary.dynamodb.versioned_table import Register, Write
from distributary.errors import ConfigError, Rejected, Unavailable
from distributary.stream import version
from tests.fakes.answers import refusal
from tests.fakes.dynamodb import DynamoDB
from tests.replaced import replace
from tests.unit.branches import Bucket, Context
from tests.unit.records import event, stream_record

USERS = "arn:aws:dynamodb:eu-west-1:123456789012:table/users"
OLD, NEW = f"{USERS}/stream/2026-01-01T00:00:00.000", f"{USERS}/stream/2026-11-26T00:00:00.000"
ORDERS = "arn:aws:dynamodb:eu-west-1:123456789012:table/orders/stream/2026-01-01T00:00:00.000"
OTHER = "arn:aws:dynamodb:eu-west-1:999999999999:table/users/stream/2026-01-01T00:00:00.000"


def test_the_setting_lists_a_generation_for_each_stream():
    assert parse(f"=3,{NEW}=1,=3,{NEW}=1,{OLD}=0,") == {NEW: 1, OLD: 0}
    assert parse("=3,=3,=3,=3,") == {}


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (OLD, "give ARN=generation"),
        (f"{OLD}=x", "give ARN=generation"),
        (f"{OLD}=1000000", "give ARN=generation"),
        (f"{OLD}=٣", "give ARN=generation"),
        ("users=1", "give the ARN of a DynamoDB stream"),
        (
            f"{OLD}=1,{OLD}=2",
            "which is listed with 1 and 2: if .* goes along, or gets a stack of its own; if .* come back",
        ),
        (f"{OLD}=1,{NEW}=1", "two have 1"),
        (f"{OLD}=1,{OTHER}=1", "two are called 'users'"),
    ],
)
def test_a_setting_that_cannot_hold_says_why(text, fault):
    with pytest.raises(ValueError, match=fault):
        parse(text)


@pytest.mark.parametrize(
    ("bound", "stream", "generation", "after"),
    [
        ({}, OLD, 0, {0: OLD}),
        ({}, OLD, 7, {7: OLD}),
        ({0: OLD}, OLD, 0, None),
        ({0: OLD}, NEW, 1, {0: OLD, 1: NEW}),
        ({0: OLD}, OLD, 1, {0: OLD, 1: OLD}),
        ({0: OLD, 1: NEW}, OLD, 0, None),
    ],
)
def test_a_pair_is_bound_once(bound, stream, generation, after):
    assert bound_with(bound, stream, generation) == after


@pytest.mark.parametrize(
    ("bound", "stream", "generation", "hint"),
    [
        ({0: OLD}, NEW, 0, f"generation 0 of table 'users' belongs to stream {OLD}.*raise Generation to 1"),
        ({0: OLD, 4: OLD}, NEW, 0, "raise Generation to 5"),
        ({3: OLD}, NEW, 2, "raise Generation above 3"),
        ({3: OLD}, OLD, 2, "raise Generation above 3"),
    ],
)
def test_another_pair_is_refused_and_says_what_to_do(bound, stream, generation, hint):
    with pytest.raises(Unavailable, match=hint):
        bound_with(bound, stream, generation)


class Stack:
    """A function that keeps the users' rows on a Register, over tables that several stacks may share."""

    def __init__(self, tables, streams, generation=0):
        self.tables, self.bucket = tables, Bucket()
        register = Register(tables, "rows", Tombstones(tables, "tombstones", 7), Parallel(1))

        class Branch:
            def apply(self, changes, deadline):
                return register.write(
                    [Write(c.event_id, {"id": {"S": "u"}}, row(c), c.version) for c in changes], deadline
                )

        def row(change):
            return {"id": {"S": "u"}, "name": change.new.raw["name"]}

        bind = StreamBindings(tables, "tombstones", "derive").bind
        parking = Parking(self.bucket, "parking", "derive", Parallel(1))
        self.deployment = Deployment(Branch(), parking, Telemetry("derive"), Streams(generation, parse(streams), bind))

    def take(self, stream, sequence, name):
        record = stream_record(new={"name": {"S": name}}, eventSourceARN=stream)
        record["dynamodb"]["SequenceNumber"] = str(sequence)
        record["eventID"] = "u"
        return consume(event(record), Context(), self.deployment)["batchItemFailures"]

    @property
    def name(self):
        return next(iter(self.tables.state["rows"].values()))["name"]["S"]


@pytest.fixture
def tables():
    return DynamoDB({"rows": {"id": "S"}, "tombstones": {"id": "S"}})


def test_another_stream_under_the_same_stack_fails_instead_of_being_superseded(tables, capsys, caplog):
    stack = Stack(tables, f"{OLD}=0")
    assert stack.take(OLD, 900, "before") == []
    assert stack.take(NEW, 100, "after") == [{"itemIdentifier": "100"}]
    again = Stack(tables, f"{NEW}=0")
    assert again.take(NEW, 100, "after") == [{"itemIdentifier": "100"}]
    assert stack.bucket.objects == again.bucket.objects == {}
    logged = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert sum(line.get("UnlistedStream", [0])[0] for line in logged) == 2
    causes = [record.cause for record in caplog.records]
    assert "list the old stream as ARN=generation in EarlierStreams" in causes[0]
    assert "raise Generation to 1" in causes[1]


def test_the_old_and_the_new_mapping_may_be_alive_at_once(tables):
    Stack(tables, f"{OLD}=0").take(OLD, 900, "first")
    stack = Stack(tables, f"{NEW}=1,{OLD}=0", 1)
    assert stack.take(NEW, 100, "restored") == []
    assert stack.take(OLD, 901, "late") == []
    assert stack.name == "restored"
    late = Stack(tables, f"{OLD}=0")
    assert late.take(OLD, 902, "later still") == []
    assert stack.name == "restored"


def test_a_second_stack_with_a_stream_of_its_own_is_refused(tables):
    assert Stack(tables, f"{OLD}=0").take(OLD, 900, "ours") == []
    second = Stack(tables, f"{NEW}=0")
    assert second.take(NEW, 950, "theirs") == [{"itemIdentifier": "950"}]
    assert second.name == "ours"


def test_two_functions_that_bind_at_once_bind_one_stream(tables):
    one, other = (StreamBindings(tables, "tombstones", "derive") for _ in range(2))
    put, raced = tables.put_item, []

    def racing(**arguments):
        if not raced:
            raced.append(True)
            other.bind(OLD, 0)
        return put(**arguments)

    tables.put_item = racing
    with pytest.raises(Unavailable, match="belongs to stream"):
        one.bind(NEW, 0)


def test_a_record_without_a_stream_is_parked_and_blocks_nothing(tables):
    stack = Stack(tables, f"{OLD}=0")
    record = stream_record(new={"name": {"S": "x"}})
    del record["eventSourceARN"]
    assert consume(event(record), Context(), stack.deployment) == {"batchItemFailures": []}
    assert len(stack.bucket.objects) == 1
    with pytest.raises(Rejected):
        stack.deployment.streams.of("")


def test_the_sink_is_asked_once_an_environment(tables):
    asked = []
    streams = Streams(0, {OLD: 2}, lambda *pair: asked.append(pair))
    assert [streams.of(OLD) for _ in range(3)] == [2, 2, 2]
    assert asked == [(OLD, 2)]
    assert Streams(5).of(NEW) == 5


def test_a_binding_of_a_later_release_is_refused(tables):
    binding = StreamBindings(tables, "tombstones", "derive")
    binding.bind(OLD, 0)
    ((key, row),) = tables.state["tombstones"].items()
    assert "expires_at" not in row
    tables.state["tombstones"][key] = {**row, "format": {"N": "2"}}
    with pytest.raises(ConfigError, match="deploy that release again"):
        binding.bind(OLD, 0)


def test_a_rollback_behind_the_binding_stops_the_function_and_parks_nothing(tables):
    stack = Stack(tables, f"{OLD}=0")
    assert stack.take(OLD, 900, "before") == []
    ((key, row),) = tables.state["tombstones"].items()
    tables.state["tombstones"][key] = {**row, "format": {"N": "2"}}
    again = Stack(tables, f"{OLD}=0")
    with pytest.raises(ConfigError, match="deploy that release again"):
        again.take(OLD, 901, "rolled back")
    assert again.bucket.objects == {}


def test_a_sink_that_does_not_answer_is_asked_once_a_batch_and_is_no_alarm(capsys):
    asked = []

    def silent(*pair):
        asked.append(pair)
        raise Unavailable("no answer")

    stack = Stack(DynamoDB({"rows": {"id": "S"}, "tombstones": {"id": "S"}}), f"{OLD}=0")
    deployment = replace(stack.deployment, streams=Streams(0, {OLD: 0}, silent))
    records = [stream_record(place, new={}, eventSourceARN=OLD) for place in range(3)]
    for _ in range(2):
        assert len(consume(event(*records), Context(), deployment)["batchItemFailures"]) == 1
    assert asked == [(OLD, 0)] * 2
    assert "UnlistedStream" not in capsys.readouterr().out


def test_a_position_of_the_old_stream_never_reaches_the_new_generation():
    assert version.of(0, version.POSITIONS - 1) < version.of(1, 0)


def test_rows_of_a_later_release_are_refused_before_the_first_write(tables):
    """A mirror's rows have the application's attributes, so their format is kept beside the bindings."""
    StreamBindings(tables, "tombstones", "replicate", 2).bind(OLD, 0)
    with pytest.raises(ConfigError, match=r"what replicate wrote has format 2.*deploy that release again"):
        StreamBindings(tables, "tombstones", "replicate", 1).bind(OLD, 0)


def test_rows_of_an_earlier_release_are_taken_over_with_one_write(tables):
    StreamBindings(tables, "tombstones", "replicate").bind(OLD, 0)
    before = tables.write_units
    for _ in range(2):
        StreamBindings(tables, "tombstones", "replicate", 1).bind(OLD, 0)
    assert tables.write_units - before == 1
    with pytest.raises(ConfigError, match="deploy that release again"):
        StreamBindings(tables, "tombstones", "replicate").bind(OLD, 0)


@pytest.fixture
def race(tables):
    """Something that comes between the first read of a binding and its write."""

    def begin(happens):
        put, raced = tables.put_item, []

        def racing(**arguments):
            if not raced:
                raced.append(True)
                happens()
            return put(**arguments)

        tables.put_item = racing

    return begin


def test_a_stream_that_another_function_binds_meanwhile_stays_bound(tables, race):
    one, other = (StreamBindings(tables, "tombstones", "derive") for _ in range(2))
    one.bind(OLD, 0)
    race(lambda: other.bind(NEW, 1))
    one.bind(OLD, 2)
    (row,) = tables.state["tombstones"].values()
    assert row["bound"] == {"M": {"0": {"S": OLD}, "1": {"S": NEW}, "2": {"S": OLD}}}


@pytest.mark.parametrize("names_a_format", [True, False])
def test_a_later_format_that_another_function_writes_meanwhile_stays(tables, race, names_a_format):
    StreamBindings(tables, "tombstones", "replicate").bind(OLD, 0)
    if not names_a_format:
        next(iter(tables.state["tombstones"].values())).pop("row_format")
    race(lambda: StreamBindings(tables, "tombstones", "replicate", 2).bind(OLD, 0))
    with pytest.raises(ConfigError, match=r"what replicate wrote has format 2"):
        StreamBindings(tables, "tombstones", "replicate", 1).bind(OLD, 0)


def test_branches_and_tables_that_share_tombstones_are_bound_apart(tables):
    for branch, stream in (("derive", OLD), ("replicate", NEW), ("derive", OLD.replace("/users/", "/orders/"))):
        StreamBindings(tables, "tombstones", branch).bind(stream, 0)
    assert len(tables.state["tombstones"]) == 3


def test_a_binding_that_others_keep_writing_fails_instead_of_passing_unbound(tables):
    def refused(**arguments):
        raise refusal("PutItem", "ConditionalCheckFailedException", "the row is another one")

    tables.put_item = refused
    with pytest.raises(Unavailable, match="other functions keep writing it"):
        StreamBindings(tables, "tombstones", "derive").bind(OLD, 0)


def test_where_no_stream_is_listed_a_command_may_be_about_any_table():
    Streams(0).bind_own("orders")


def test_a_command_about_a_table_binds_its_stream_alone_and_no_other_table():
    bound = []
    streams = Streams(0, {NEW: 1, ORDERS: 1, OLD: 0}, lambda stream, _: bound.append(stream), (NEW, ORDERS))
    streams.bind_own("orders")
    assert bound == [ORDERS]
    streams.bind_own()
    assert bound == [ORDERS, NEW]
    with pytest.raises(ConfigError, match="the function reads users, orders, not 'customers'"):
        streams.bind_own("customers")
