"""An index remembers what its documents were written under, and says so until a rebuild is done."""

from collections import Counter

import pytest

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Status
from distributary.consumer.sweep import NOTHING, Done
from distributary.errors import Unavailable
from distributary.index import Entity, Field, Index
from distributary.index.described import described, history
from distributary.index.doctor import examine, examine_declarations
from distributary.index.factory import build, rebuilder, reconciler
from distributary.index.opensearch.bindings import IndexBindings, read
from distributary.index.opensearch.bulk_errors import Refused
from distributary.index.opensearch.schema import apply
from distributary.verify.finding import Level
from tests.fakes.opensearch import OpenSearch
from tests.fakes.serial import Serial
from tests.replaced import replace
from tests.unit.index_settings import clients, settings
from tests.unit.records import change

USER = Entity(name="user", keys=("user_id",), attributes=("name", "age"))
FIELDS = {"name": {"type": "keyword"}, "age": {"type": "long"}}
OLD = Index(name="users", of=USER, id="{user_id}", fields=FIELDS)
NEW = replace(OLD, of=replace(USER, where=lambda item: item.get("age") != 1))
OTHER = replace(OLD, fields={**FIELDS, "age": Field(mapping={"type": "long"}, of=lambda item: 1)})
FOREVER = Deadline(1e9)
STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/users/stream/2026-01-01T00:00:00.000"


class Engine(OpenSearch):
    """Counts requests, and calls `between` before each of them."""

    def __init__(self, *indexes, generations=(0,)):
        super().__init__()
        self.between, self.asked, self.time = lambda: None, Counter(), 0.0
        for generation in generations:
            for index in indexes:
                apply(self, index, generation)
        self.asked.clear()

    def get_many(self, **arguments):
        self.asked["read"] += 1
        self.between()
        return super().get_many(**arguments)

    def bulk(self, **arguments):
        self.asked["write"] += 1
        self.between()
        return super().bulk(**arguments)

    def kept(self, generation=0):
        (found,) = read(self, [OLD.physical(generation)]).values()
        return list(found.declared)


class Function:
    """One environment of a version that has these declarations; `due` is how often it said that a rebuild is due."""

    def __init__(self, engine, *indexes, also=None):
        self.engine, self.due, self.indexes, self.settings = engine, 0, indexes, settings(0, also)
        self.branch = build(indexes, self.settings, clients(engine), Serial(), lambda: engine.time, due=self._due)

    def _due(self):
        self.due += 1

    def batch(self, position=1):
        new = {"name": {"S": "a"}, "age": {"N": "3"}}
        return [end.status for end in self.branch.apply([change(position, "INSERT", "u", new)], FOREVER)]

    def says(self):
        """Whether a batch says that a rebuild is due."""
        before = self.due
        assert self.batch() == [Status.APPLIED]
        return self.due > before

    def declarations(self, done=NOTHING):
        """As the command asks."""
        rebuild = rebuilder(self.branch, lambda *_: [], self.settings, lambda *_, **__: self.engine)
        return rebuild.declarations(done, FOREVER)

    def rebuilt(self):
        return self.declarations(Done(frozenset(self.declarations()["declared"]), frozenset()))


@pytest.fixture
def engine():
    return Engine(OLD)


def of(*indexes):
    return [described([index]) for index in indexes]


def test_the_first_batch_records_and_later_ones_ask_every_five_minutes(engine):
    function = Function(engine, OLD)
    assert not function.says()
    assert engine.kept() == of(OLD)
    engine.asked.clear()
    assert not any(function.says() for _ in range(5))
    assert engine.asked == {"write": 5}
    engine.time += 301
    assert not function.says()
    assert engine.asked == {"write": 6, "read": 1}


def test_a_changed_declaration_is_due_with_every_batch_until_it_is_rebuilt(engine):
    Function(engine, OLD).batch()
    function = Function(engine, NEW)
    assert [function.says() for _ in range(3)] == [True] * 3
    assert engine.kept() == of(OLD, NEW)
    function.rebuilt()
    assert engine.kept() == of(NEW)
    engine.time += 301
    assert not function.says()
    assert not Function(engine, NEW).says()


def test_declarations_that_are_rolled_back_are_due(engine):
    Function(engine, OLD).batch()
    Function(engine, NEW).batch()
    back = Function(engine, OLD)
    assert back.says()
    (fields,) = history(engine, [OLD], 0).due().values()
    assert fields == ["user.of.where"]
    back.rebuilt()
    assert not Function(engine, OLD).says()


def test_an_earlier_version_that_comes_back_after_a_rebuild_says_so_in_time(engine):
    """As in a gradual deployment: both are alive."""
    old, new = Function(engine, OLD), Function(engine, NEW)
    assert (old.says(), new.says()) == (False, True)
    new.rebuilt()
    engine.time += 301
    assert (old.says(), new.says()) == (True, True)
    assert engine.kept() == of(NEW, OLD)


def interleavings(make, outer, inner):
    """Plays `inner` into each request of `outer`, each time on an engine of its own."""
    for at in range(100):
        engine, asked = make(), []

        def between(engine=engine, asked=asked, at=at):
            asked.append(None)
            if len(asked) == at + 1:
                inner(engine)

        engine.between = between
        outer(engine)
        engine.between = lambda: None
        if len(asked) <= at:
            assert at > 1
            return
        yield engine


def first_of(index):
    return lambda engine: Function(engine, index).batch()


@pytest.mark.parametrize(("outer", "inner"), [(OLD, NEW), (NEW, OLD), (OLD, OLD)])
def test_two_versions_that_begin_at_once_are_both_remembered(outer, inner):
    for engine in interleavings(lambda: Engine(OLD), first_of(outer), first_of(inner)):
        kept = engine.kept()
        assert all(each in kept for each in of(outer, inner))
        assert Function(engine, NEW).says()
        assert Function(engine, OLD).says()
        if outer is inner:
            break


def written():
    engine = Engine(OLD)
    Function(engine, OTHER).batch()
    return engine


def rebuild(engine):
    Function(engine, NEW).rebuilt()


def test_the_first_batch_and_a_rebuild_into_each_of_the_others_calls():
    """Of one version: in the end nothing is due. What it was written under before is forgotten."""
    for outer, inner in ((first_of(NEW), rebuild), (rebuild, first_of(NEW))):
        for engine in interleavings(written, outer, inner):
            assert engine.kept() == of(NEW)
            assert not Function(engine, NEW).says()


def test_another_version_s_first_batch_and_a_rebuild_into_each_other():
    """What writes after the rebuild has ended is remembered; of both, one is never lost for the other."""
    for outer, inner in ((first_of(OLD), rebuild), (rebuild, first_of(OLD))):
        for engine in interleavings(written, outer, inner):
            assert engine.kept() in (of(NEW), of(NEW, OLD))
            assert Function(engine, OLD).says()


def test_each_generation_remembers_its_own_declaration():
    changed = replace(OLD, since=1, fields={**FIELDS, "age": {"type": "keyword"}})
    engine = Engine(OLD)
    apply(engine, changed, 1)
    both = Function(engine, OLD, changed, also=1)
    assert not both.says()
    assert (engine.kept(0), engine.kept(1)) == (of(OLD), of(changed))
    narrower = replace(changed, of=NEW.of)
    later = Function(engine, OLD, narrower, also=1)
    assert later.says()
    assert (engine.kept(0), engine.kept(1)) == (of(OLD), of(changed, narrower))
    told = later.declarations()
    assert {name.partition(".")[0] for name in told["written"]["users"]} == {"users-g0", "users-g1"}
    later.rebuilt()
    assert (engine.kept(0), engine.kept(1)) == (of(OLD), of(narrower))
    assert not Function(engine, OLD, narrower, also=1).says()


def test_a_rebuild_of_one_index_leaves_the_others_due():
    people = replace(OLD, name="people")
    engine = Engine(OLD, people)
    Function(engine, OLD, people).batch()
    function = Function(engine, NEW, replace(people, of=NEW.of))
    function.declarations(Done(frozenset({"users"}), frozenset()))
    assert list(history(engine, function.indexes, 0).due()) == ["people"]
    assert function.says()


def test_binding_a_stream_and_applying_the_declaration_again_forget_nothing(engine):
    Function(engine, OLD).batch()
    IndexBindings(engine, [("users-g0", OLD.write_alias(0))], 0).bind(STREAM, 0)
    apply(engine, OLD, 0)
    Function(engine, NEW).batch()
    (found,) = read(engine, ["users-g0"]).values()
    assert (found.stream, list(found.declared)) == (STREAM, of(OLD, NEW))


def test_an_engine_that_does_not_answer_fails_every_change(engine):
    function = Function(engine, OLD)

    def refuses():
        raise Refused(503, "unavailable_shards_exception")

    engine.between = refuses
    assert function.batch() == [Status.FAILED]
    engine.between = lambda: None
    assert function.batch() == [Status.APPLIED]


def test_what_others_keep_writing_is_tried_again_later(engine):
    names = map(str, range(100))

    def others():
        engine.state["docs"]["users-g0"]["%stream"][1]["distributary_stream"] = next(names)
        engine._writes["users-g0", "%stream"] += 1

    engine.between = others
    with pytest.raises(Unavailable, match="keep writing"):
        history(engine, [OLD], 0).due()


def test_a_backfill_by_reconcile_is_remembered_as_well(engine):
    Function(engine, OLD).batch()
    function = Function(engine, NEW)
    reconciler(function.branch, function.settings, lambda *_, **__: engine)([], FOREVER)
    assert engine.kept() == of(OLD, NEW)


def test_the_doctor_names_what_differs_and_changes_nothing(engine):
    def found(index):
        return [each for each in examine(engine, [index], 0) if each.check == "declarations"]

    (unwritten,) = found(OLD)
    assert unwritten.level is Level.OK
    assert engine.kept() == []
    Function(engine, OLD).batch()
    assert found(OLD)[0].level is Level.OK
    (differs,) = found(OTHER)
    assert differs.level is Level.FAULT
    assert "user.fields.age" in differs.found
    assert "distributary rebuild index --view users" in differs.fix
    assert engine.kept() == of(OLD)


@pytest.mark.parametrize(
    "other",
    [
        OTHER,
        NEW,
        replace(OLD, id="U#{user_id}"),
        replace(OLD, routing="{user_id}"),
        replace(OLD, pipeline="p"),
        replace(OLD, fields={"name": {"type": "keyword"}}),
        replace(OLD, fields={**FIELDS, "age": {"type": "integer"}}),
        replace(OLD, fields={**FIELDS, "age": Field(mapping={"type": "long"}, on_error="null")}),
        replace(OLD, fields={**FIELDS, "age": Field(mapping={"type": "long"}, json=True)}),
    ],
)
def test_whatever_a_document_depends_on_is_described(other):
    assert of(other) != of(OLD)


def test_what_means_the_same_is_described_alike():
    full = replace(OLD, since=1, fields={name: Field(mapping=each, of=name) for name, each in FIELDS.items()})
    assert of(full) == of(OLD)


def test_the_generic_doctor_names_each_index_that_needs_a_rebuild(engine):
    Function(engine, OLD).batch()
    function = Function(engine, NEW)
    (found,) = examine_declarations(function.declarations(), "--stack shop")
    assert (found.check, found.level) == ("declarations", Level.FAULT)
    assert "documents of index 'users' were written under another declaration (" in found.found
    assert "user.of.where" in found.found
    assert found.fix == "distributary rebuild index --view users --stack shop"
    function.rebuilt()
    (found,) = examine_declarations(function.declarations(), "--stack shop")
    assert found.level is Level.OK
    assert "of all 1 indexes" in found.found


def repair(engine):
    found = history(engine, [NEW], 0)
    found.repaired(found.written())


def test_a_repair_that_left_nothing_different_ends_what_was_due(engine):
    Function(engine, OLD).batch()
    assert Function(engine, NEW).says()
    repair(engine)
    assert engine.kept() == of(NEW)
    assert not Function(engine, NEW).says()


def test_a_repair_to_what_no_function_has_written_under_is_not_noted(engine):
    """The functions write what is deployed, whatever the folder of the command declares."""
    Function(engine, OLD).batch()
    repair(engine)
    assert engine.kept() == of(OLD)


def test_a_version_that_began_during_a_repair_stays_due(engine):
    Function(engine, OTHER).batch()
    Function(engine, NEW).batch()
    found = history(engine, [NEW], 0)
    seen = found.written()
    Function(engine, OLD).batch()
    found.repaired(seen)
    assert engine.kept() == of(OTHER, OLD)
    assert Function(engine, NEW).says()


def repairing():
    engine = written()
    Function(engine, NEW).batch()
    return engine


def test_another_version_s_first_batch_and_a_repair_s_note_into_each_other():
    for outer, inner in ((first_of(OLD), repair), (repair, first_of(OLD))):
        for engine in interleavings(repairing, outer, inner):
            assert of(OLD)[0] in engine.kept()
            assert Function(engine, OLD).says()
