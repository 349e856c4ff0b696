"""Verification of an index finds what is wrong and nothing else, and a repair never wins over what is newer."""

from random import Random

import orjson
import pytest
from opensearchpy.exceptions import ConnectionTimeout

from distributary.consumer import outcome as outcomes
from distributary.consumer.deadline import Deadline
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.errors import ConfigError, Rejected, Unavailable
from distributary.index import Entity, Index
from distributary.index.document import DELETED_AT
from distributary.index.opensearch import reader as standing
from distributary.index.opensearch.bulk import Action, Bulk
from distributary.index.opensearch.connect import connect
from distributary.index.opensearch.target import Declared
from distributary.index.verify import verifier as run
from distributary.index.verify.report import IndexReport
from distributary.stream import version as versions
from distributary.verify.parked import ParkedItems
from tests.contract.place import FIELDS, USER, Place
from tests.fakes.s3 import S3
from tests.replaced import replace
from tests.unit.records import change


@pytest.fixture(params=["osmem", pytest.param("node", marks=pytest.mark.opensearch)])
def client(request):
    if request.param == "osmem":
        return connect(request.getfixturevalue("emulators").opensearch, "none")
    return connect(request.getfixturevalue("opensearch_url"), "none")


@pytest.fixture
def place(client):
    return Place(client)


def test_what_the_branch_wrote_is_equal(place):
    for user in range(25):
        place.put(f"u-{user}", balance={"N": "12345678901234567890.123456789012345678"}, visits={"N": "7"})
    place.put("gone")
    place.delete("gone")
    place.put("robot", kind={"S": "robot"})
    place.put("ü / # %h", avatar={"B": b"\x00\xff"})
    report = place.verify()
    assert report.left == 0
    assert (report.counts["items"], report.counts["documents"]) == (27, 26)


def test_each_kind_of_difference_is_found_and_named(place):
    for user in ("right", "old", "dead"):
        place.put(user)
    place.put("new", deliver=False)
    place.put("old", deliver=False, visits={"N": "1"})
    place.delete("dead", deliver=False)
    place.write("USER#never", 5, name="never")
    place.write("no such form", 5, name="stranger")
    assert place.found() == {
        "missing": ["USER#new"],
        "dead": ["USER#dead", "USER#never", "no such form"],
        "different": ["USER#old"],
    }


def test_a_marker_under_an_item_that_lives_is_a_missing_document(place):
    place.put("u-1")
    place.delete("u-1")
    place.put("u-1", deliver=False)
    assert place.found()["missing"] == ["USER#u-1"]


def test_a_repair_sets_right_whatever_differs_and_the_next_run_finds_nothing(place):
    test_each_kind_of_difference_is_found_and_named(place)
    report = place.verify(repair=True)
    assert (report.differences, report.left) == (5, 0)
    assert place.verify().differences == 0
    assert place.shown() == {"USER#right": "right", "USER#old": "old", "USER#new": "new"}


def test_a_repaired_document_is_exact(place):
    digits = "12345678901234567890.123456789012345678"
    place.put("u-1", deliver=False, balance={"N": digits}, visits={"N": str(2**63 - 1)}, avatar={"B": b"\x00\xff"})
    place.verify(repair=True)
    (hit,) = place.search.mget(index=place.index.physical(0), body={"ids": ["USER#u-1"]})["docs"]
    assert hit["_source"] == {"name": "u-1", "balance": digits, "visits": 2**63 - 1, "avatar": "AP8="}


@pytest.mark.parametrize("lost", ["missing", "old", "dead"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_newer_change_wins_over_a_repair_whether_it_comes_before_or_after(place, monkeypatch, lost, when):
    """The newer change is made once the item was read for the repair, and delivered around the repair's write."""
    if lost != "missing":
        place.put("u-1")
    if lost == "dead":
        place.delete("u-1", deliver=False)
    else:
        place.put("u-1", deliver=False, name={"S": "stale"})
    send = place.branch.bulk.send

    def around(bulk, actions, deadline):
        newer = place.put("u-1", deliver=False, name={"S": "newest"})
        if when == "before":
            first = send([*place.branch.plan(newer)[0].values()], deadline)
            assert first[0].status.value == "Applied"
        ends = send(actions, deadline)
        if when == "after":
            assert send([*place.branch.plan(newer)[0].values()], deadline)[0].status.value == "Applied"
        return ends

    monkeypatch.setattr(type(place.branch.bulk), "send", around)
    report = place.verify(repair=True)
    assert place.shown() == {"USER#u-1": "newest"}
    assert report.counts["moving"] == (when == "before")


def test_a_change_that_was_lost_and_is_redelivered_does_not_undo_a_repair(place):
    kept = place.put("u-1", deliver=False)
    place.deliver(kept)
    place.delete("u-1", deliver=False)
    place.verify(repair=True)
    assert place.statuses(kept) == ["Superseded"]
    assert place.shown() == {}


def test_what_the_stream_mends_during_the_pause_is_no_difference(place):
    late = place.put("u-1", deliver=False)
    report = place.verify(during=lambda: place.deliver(late))
    assert report.differences == 0


def test_what_keeps_changing_is_moving_and_is_not_repaired(place):
    place.put("u-1", deliver=False)

    def meanwhile():
        place.put("u-1", deliver=False, visits={"N": str(place.written)})

    report = place.verify(repair=True, during=meanwhile)
    assert (report.differences, report.counts["moving"], place.shown()) == (0, 1, {})


def test_an_item_that_the_declaration_rejects_is_parked_and_not_different(place):
    place.service.put_item(TableName="users", Item={"user_id": {"S": "u-1"}, "name": {"S": "x"}})
    broken = Entity(name="user", keys=("user_id",), attributes=USER.attributes, where=lambda item: 1 / 0)
    place.index = Index(name=place.index.name, of=broken, id=place.index.id, fields=FIELDS)
    place.declared = Declared.of([place.index], place.search, 0)
    report = place.verify()
    assert (report["parked"], report.differences, report.status) == (1, 0, 1)
    assert "ZeroDivisionError" in report.samples["parked"][0]["cause"]


def test_of_what_a_pipeline_makes_only_the_being_there_is_compared(place):
    for user in ("u-1", "u-2"):
        place.put(user)
    place.write("USER#u-1", 10**18 * 9, name="as the pipeline has it")
    place.put("u-3", deliver=False)
    place.delete("u-2", deliver=False)
    assert place.found() == {"missing": ["USER#u-3"], "dead": ["USER#u-2"], "different": ["USER#u-1"]}
    place.index = replace(place.index, pipeline="enrich")
    place.declared = Declared.of([place.index], place.search, 0)
    assert place.found() == {"missing": ["USER#u-3"], "dead": ["USER#u-2"], "different": []}


def test_a_document_that_opensearch_refuses_is_parked_with_its_cause(place):
    place.put("u-1", deliver=False, visits={"S": "not a number"})
    report = place.verify(repair=True)
    assert (report["missing"], report.left, report["parked"], report.status) == (0, 0, 1, 1)
    assert "400" in report.samples["parked"][0]["cause"]


def test_a_repair_that_fails_ends_the_run_with_its_cause(place, monkeypatch):
    place.put("u-1", deliver=False)
    failed = outcomes.failed(Unavailable("bulk: OpenSearch answered 403; grant it"))
    monkeypatch.setattr(Bulk, "send", lambda self, actions, deadline: [failed] * len(actions))
    with pytest.raises(Unavailable, match=r"the repair of document 'USER#u-1' failed: bulk: OpenSearch answered 403"):
        place.verify(repair=True)


def test_an_item_with_a_parked_change_is_parked_neither_missing_nor_equal(place):
    """OpenSearch refused its document, which the declaration alone cannot know."""
    s3, written = S3("parking"), place.put("u-0", deliver=False)
    refused = place.put("u-1", deliver=False)
    for each in (written, refused):
        end = outcomes.parked(Rejected("bulk: OpenSearch answered 400"))
        Parking(s3, "parking", "index", Parallel(1)).park([(each, end)], Deadline(float("inf")))
    place.deliver(written)
    report = place.verify(parked=ParkedItems.of(s3, "parking", "index", "users"))
    (found,) = report.samples["parked"]
    assert (found["item"], found["cause"]) == ("USER#u-1", "bulk: OpenSearch answered 400")
    assert found["object"].startswith("s3://parking/parked/index/")
    assert (report["missing"], report.equal, report.status) == (0, False, 1)
    assert place.verify().samples["missing"] == [{"id": "USER#u-1", "version": 0}]


def test_ids_too_long_to_tell_their_item_are_dead_only_if_no_item_makes_them(place):
    place.put("x" * 600)
    place.put("y" * 600)
    place.delete("y" * 600, deliver=False)
    report = place.verify(repair=True)
    assert (report.counts["dead"], report.left) == (1, 0)
    assert list(place.shown().values()) == ["x" * 600]


LONG = "x" * 600


def test_the_last_document_of_an_item_that_is_refused_is_never_repaired_away(place):
    """Neither under an id that names its item nor under a digest."""
    for user in ("u-1", LONG):
        place.put(user)
    broken = replace(USER, where=lambda item: 1 / 0)
    place.index = replace(place.index, of=broken)
    place.declared = Declared.of([place.index], place.search, 0)
    report = place.verify(repair=True)
    assert (report["parked"], report.differences, report.status) == (2, 0, 1)
    assert sorted(place.shown().values()) == ["u-1", LONG]


@pytest.mark.parametrize("delivered", ["before the second scan", "during the second scan", "later"])
def test_the_document_of_an_item_that_was_made_again_during_the_scan_stays(place, monkeypatch, delivered):
    """The scan of the table came where the item is while it was deleted; its id is a digest."""
    place.put(LONG)
    pages, scans = run.table_reader.pages, []

    def again(name):
        place.deliver(place.put(LONG, deliver=False, name={"S": name}))

    def around(client, table, segment, segments):
        if segment == 0:
            scans.append(segment)
            if len(scans) == 1:
                place.delete(LONG)
            if len(scans) == 2 and delivered == "during the second scan":
                place.delete(LONG)
        found = list(pages(client, table, segment, segments))
        if segment == 0 and len(scans) == 1:
            late.append(place.put(LONG, deliver=False, name={"S": "again"}))
            if delivered != "later":
                place.deliver(late.pop())
        if segment == 0 and len(scans) == 2 and delivered == "during the second scan":
            again("newest")
        return iter(found)

    late = []
    monkeypatch.setattr(run.table_reader, "pages", around)
    report = place.verify(repair=True, segments=1)
    for each in late:
        place.deliver(each)
    assert list(place.shown().values()) == ["newest" if delivered == "during the second scan" else "again"]
    assert report.counts["repaired"] == 0


def test_an_id_that_its_item_would_spell_otherwise_is_dead(place):
    place.put("a#b")
    place.write("USER#a%23%62", 5, name="odd")
    place.write("USER#%61%23b", 5, name="odd")
    assert place.found()["dead"] == ["USER#%61%23b", "USER#a%23%62"]


def test_a_repair_moves_a_document_from_an_id_that_escaped_more(place):
    """As release 0.1 wrote it: every separator was escaped, whether the template used it or not."""
    place.put("a b", deliver=False)
    place.write("USER#a%20b", 5, name="a b")
    assert place.verify(repair=True).counts["repaired"] == 2
    assert list(place.shown()) == ["USER#a b"]


def test_the_memory_for_what_waits_is_bounded(place, monkeypatch):
    monkeypatch.setattr(run, "SUSPECTS", 4)
    for user in range(20):
        place.put(f"u-{user}", deliver=False)
    waits = []
    report = place.verify(repair=True, during=lambda: waits.append(len(waits)))
    assert (report.differences, report.left) == (20, 0)
    assert len(waits) >= 2


def test_too_many_ids_that_tell_no_item_stop_the_run(place, monkeypatch):
    monkeypatch.setattr(run, "SUSPECTS", 4)
    for each in range(5):
        place.write(f"stranger {each}", 5, name="x")
    with pytest.raises(Unavailable, match="rebuild"):
        place.verify()


def test_a_missing_index_is_named_with_its_mend(place):
    place.declared = Declared.of([place.index], place.search, 7)
    with pytest.raises(ConfigError, match="distributary index apply"):
        place.verify()


@pytest.mark.parametrize("seed", range(4))
def test_after_random_losses_a_repair_makes_it_equal_and_later_changes_win(place, seed):
    random = Random(seed)
    for _ in range(60):
        user = f"u-{random.randrange(12)}"
        lost = random.random() < 0.4
        if random.random() < 0.3:
            place.delete(user, deliver=not lost)
        else:
            place.put(user, deliver=not lost, visits={"N": str(random.randrange(5))})
    place.verify(repair=True)
    assert place.verify().differences == 0
    for user in range(12):
        assert place.statuses(place.put(f"u-{user}", visits={"N": "9"}, deliver=False)) == ["Applied"]
    assert place.verify().differences == 0


def test_a_repair_after_a_backfill_of_the_same_snapshot_version_is_kept(place):
    """A backfill that read the item before its delete may write once more after the repair."""
    place.put("u-1", deliver=False)
    snapshot = change(1, user="u-1", new={"name": {"S": "u-1"}}, distributary={"origin": "snapshot"})
    assert versions.to_external(snapshot.version) == 1 << 57
    place.deliver(snapshot)
    place.delete("u-1", deliver=False)
    place.verify(repair=True)
    assert place.statuses(snapshot) == ["Superseded"]
    assert place.shown() == {}


def test_a_marker_body_is_what_the_branch_writes(place):
    place.put("u-1")
    place.delete("u-1", deliver=False)
    place.verify(repair=True)
    (hit,) = place.search.mget(index=place.index.physical(0), body={"ids": ["USER#u-1"]})["docs"]
    assert list(hit["_source"]) == [DELETED_AT]


def test_an_action_is_two_lines(place):
    action = place.declared.action(place.declared.intended(change(1, new={"name": {"S": "x"}})), 3)
    assert isinstance(action, Action)
    header, body = map(orjson.loads, action.lines.splitlines())
    assert (header["index"]["version_type"], header["index"]["require_alias"]) == ("external", True)
    assert body == {"name": "x"}


def test_later_pages_are_read_and_a_shard_that_fails_is_no_empty_page(place, monkeypatch):
    monkeypatch.setattr(standing, "PAGE", 3)
    for user in range(20):
        place.put(f"u-{user}")
    report = place.verify()
    assert (report.counts["documents"], report.differences) == (20, 0)
    whole = place.search.search
    failed = {"failed": 1, "successful": 0, "total": 1}
    monkeypatch.setattr(place.search, "search", lambda *a, **k: {**whole(*a, **k), "_shards": failed}, raising=False)
    monkeypatch.setattr(standing.time, "sleep", lambda _: None)
    with pytest.raises(Unavailable, match="503"):
        place.verify()


def test_what_could_not_be_compared_is_no_success(place):
    """1 if differences are left or items are parked, else 2 if some kept changing."""
    report = IndexReport()
    assert report.status == 0
    report.add("moving")
    assert report.status == 2
    report.add("parked")
    assert report.status == 1


def test_a_scan_that_loses_a_page_still_sees_every_document_once(place, monkeypatch):
    monkeypatch.setattr(standing, "PAGE", 2)
    for at in range(3):
        place.put(f"dead-{at}")
        place.delete(f"dead-{at}", deliver=False)
        place.put(f"right-{at}")
    scroll, answered = standing._next, []

    def lost(client, id):
        answer = scroll(client, id)
        answered.append(id)
        if len(answered) == 2:
            raise standing.Lost("a page was lost")
        return answer

    monkeypatch.setattr(standing, "_next", lost)
    report = place.verify()
    assert (report.counts["documents"], report.left) == (6, 3)


def test_an_answer_that_got_lost_is_not_asked_for_again(place, monkeypatch):
    for at in range(3):
        place.put(f"u-{at}")
    monkeypatch.setattr(standing, "PAGE", 1)
    standing.refresh(place.search, place.index.physical(0))
    asked = []

    class Losing:
        def __getattr__(self, name):
            return getattr(place.search, name)

        def scroll(self, **call):
            asked.append(place.search.scroll(**call))
            raise ConnectionTimeout("TIMEOUT", "read timed out", {})

    with pytest.raises(standing.Lost):
        list(standing.visible(Losing(), place.index.physical(0), 0, 1))
    assert len(asked) == 1


def test_a_scan_that_passed_over_a_page_says_so(place, monkeypatch):
    for at in range(5):
        place.put(f"u-{at}")
    monkeypatch.setattr(standing, "PAGE", 1)
    standing.refresh(place.search, place.index.physical(0))
    scroll = standing._next

    def twice(client, id):
        scroll(client, id)
        return scroll(client, id)

    monkeypatch.setattr(standing, "_next", twice)
    with pytest.raises(standing.Lost, match="passed over"):
        list(standing.visible(place.search, place.index.physical(0), 0, 1))
