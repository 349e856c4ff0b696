"""A compacted window is what an incremental export of it would hold, and others' readers read it."""

import gzip
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributary.archive.compact.output import sink
from distributary.archive.compact.partitions import Entry, Partitions, Window, read
from distributary.archive.compact.run import compact
from distributary.errors import ConfigError, Unavailable
from distributary.readers import incremental_export
from distributary.readers.archive import Archive, Position
from distributary.readers.incremental_export import NetChange
from distributary.readers.place import Bucket
from distributary.stream import version as versions
from distributary.stream.change import Change
from tests.fakes.answers import refusal
from tests.fakes.s3 import S3
from tests.fakes.streaming import CREATED
from tests.unit.archives import archived, bucket
from tests.unit.records import change

SECOND = 1_000_000
LATER = CREATED + 86_400 * 30.0
END = 7200


def at(seconds: float) -> int:
    return int((CREATED + seconds) * SECOND)


def window(begin: float = 0, end: float = END) -> Window:
    return Window(at(begin), at(end))


def key(user: str) -> dict[str, Any]:
    return {"user_id": {"S": user}}


def visits(number: int) -> dict[str, Any]:
    return {"visits": {"N": str(number)}}


class History:
    """A table of users with `visits`, and the changes that its stream has."""

    def __init__(self) -> None:
        self.items: dict[str, int] = {}
        self.changes: list[Change] = []

    def set(self, user: str, number: int | None, seconds: float) -> None:
        """A put, or a delete if there is no number; what changes nothing leaves no change."""
        old = self.items.get(user)
        if old == number:
            return
        kind = "REMOVE" if number is None else "INSERT" if old is None else "MODIFY"
        images = {"old": None if old is None else visits(old), "new": None if number is None else visits(number)}
        made = change(len(self.changes), kind, user=user, **images)
        self.changes.append(made._replace(created=CREATED + seconds))
        if number is None:
            del self.items[user]
        else:
            self.items[user] = number

    def net(self, begin: float, end: float) -> dict[str, tuple[Any, Any, int]]:
        """By user: the item before the window, after it, and when it was last written. Played again from the list."""
        before: dict[str, Any] = {}
        after: dict[str, Any] = {}
        last: dict[str, int] = {}
        for each in self.changes:
            user, new = each.keys.raw["user_id"]["S"], each.new.raw if each.new else None
            if each.created < CREATED + begin:
                before[user] = new
            if each.created < CREATED + end:
                after[user] = new
                if each.created >= CREATED + begin:
                    last[user] = int(each.created * SECOND)
        found = {user: (before.get(user), after[user], when) for user, when in last.items()}
        return {user: each for user, each in found.items() if each[:2] != (None, None)}


def compacted(archive: Archive, folder: Any, of: Window | None = None, **options: Any) -> list[NetChange]:
    compact(archive, of or window(), sink(str(folder), None), now=lambda: LATER, **options)
    return list(incremental_export.changes(str(folder), lambda: None, ("user_id",)))


def as_net(found: Sequence[NetChange]) -> dict[str, tuple[Any, Any, int]]:
    assert len({each.keys["user_id"]["S"] for each in found}) == len(found), "an item has two lines"
    return {each.keys["user_id"]["S"]: (each.old, each.new, each.micros) for each in found}


steps = st.lists(
    st.tuples(st.sampled_from("abcde"), st.none() | st.integers(1, 3), st.integers(0, 2 * END)), max_size=40
)


@st.composite
def deliveries(draw: Any, changes: Sequence[Change]) -> list[list[Change]]:
    """Every change at least once: batches cut anew at each delivery, that overlap, repeat and come in any order."""
    batches = []
    for _ in range(draw(st.integers(1, 3))):
        cuts = sorted(draw(st.lists(st.integers(0, len(changes)), max_size=6)))
        batches += [list(changes[one:other]) for one, other in zip([0, *cuts], [*cuts, len(changes)], strict=True)]
    extra = draw(st.lists(st.sampled_from(changes), max_size=5)) if changes else []
    return draw(st.permutations([batch for batch in [*batches, *([one] for one in extra)] if batch]))


@given(data=st.data(), steps=steps, bounds=st.lists(st.integers(0, 2 * END), min_size=2, max_size=2, unique=True))
@pytest.mark.parametrize("partition_bytes", [2**20, 300])
def test_compaction_is_the_net_change_of_each_item(tmp_path_factory, data, steps, bounds, partition_bytes):
    history = History()
    for user, number, seconds in sorted(steps, key=lambda step: step[2]):
        history.set(user, number, seconds)
    history.set("first", 1, 0) if not history.changes else None
    begin, end = sorted(bounds)
    found, to = archived(data.draw(deliveries(history.changes))), tmp_path_factory.mktemp("export")
    hours = [int(each.created - CREATED) // 3600 for each in history.changes]
    if not min(hours) <= begin // 3600 <= max(hours):
        with pytest.raises(ConfigError, match=r"begins at|ends in the hour"):
            compacted(found, to, window(begin, end))
        return
    net = compacted(found, to, window(begin, end), partition_bytes=partition_bytes)
    assert as_net(net) == history.net(begin, end)


@pytest.mark.parametrize(
    ("life", "old", "new"),
    [
        ([("INSERT", None, 1)], None, 1),
        ([("MODIFY", 1, 2)], 1, 2),
        ([("REMOVE", 1, None)], 1, None),
        ([("INSERT", None, 1), ("MODIFY", 1, 2)], None, 2),
        ([("MODIFY", 1, 2), ("MODIFY", 2, 3)], 1, 3),
        ([("MODIFY", 1, 2), ("REMOVE", 2, None)], 1, None),
        ([("REMOVE", 1, None), ("INSERT", None, 2)], 1, 2),
        ([("MODIFY", 1, 2), ("MODIFY", 2, 1)], 1, 1),
    ],
)
@pytest.mark.parametrize("old_images", [True, False])
def test_each_documented_operation_has_the_documented_line(tmp_path, life, old, new, old_images):
    """https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html"""

    def image(number: int | None) -> Any:
        return None if number is None else {**key("u-1"), **visits(number)}

    changes = [
        change(place, kind, old=visits(was) if was else None, new=visits(is_) if is_ else None)
        for place, (kind, was, is_) in enumerate(life)
    ]
    (found,) = compacted(archived([changes]), tmp_path, old_images=old_images)
    assert found == NetChange(key("u-1"), image(old) if old_images else None, image(new), at(0))


@pytest.mark.parametrize("old_images", [True, False])
def test_an_item_inserted_and_deleted_in_the_window_has_no_line(tmp_path, old_images):
    changes = [change(0, "INSERT", new=visits(1)), change(1, "REMOVE", old=visits(1))]
    assert compacted(archived([changes]), tmp_path, old_images=old_images) == []


def test_the_old_image_is_from_before_the_window_and_not_of_its_last_change(tmp_path):
    history = History()
    for seconds, number in ((0, 1), (100, 2), (200, 3), (300, 4)):
        history.set("u-1", number, seconds)
    (found,) = compacted(archived([history.changes]), tmp_path, window(100, 300))
    assert (found.old["visits"], found.new["visits"]) == ({"N": "1"}, {"N": "3"})


def test_the_window_begins_with_its_begin_and_ends_before_its_end(tmp_path):
    history = History()
    for user, seconds in (("before", 99), ("begin", 100), ("last", 199), ("end", 200)):
        history.set(user, 1, seconds)
    assert set(as_net(compacted(archived([history.changes]), tmp_path, window(100, 200)))) == {"begin", "last"}


def test_the_changes_of_an_hour_are_found_whatever_the_window_cuts(tmp_path):
    history = History()
    for hour in range(4):
        history.set(f"u-{hour}", 1, 3600 * hour + 1800)
    found = compacted(archived([[each] for each in history.changes]), tmp_path, window(1900, 3600 * 2 + 1801))
    assert set(as_net(found)) == {"u-1", "u-2"}


def test_a_hot_item_and_many_items_need_no_more_than_their_files(tmp_path):
    """A file that is too large is divided until one item, or few, are left."""
    history = History()
    for number in range(1, 700):
        history.set("hot", number, number / 2)
        history.set(f"u-{number}", 1, number / 2)
    found = compacted(archived([history.changes]), tmp_path, partition_bytes=2000)
    assert as_net(found) == history.net(0, END)
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and "AWSDynamoDB" not in str(path)]


def test_no_file_is_larger_than_asked_unless_it_is_of_one_item(tmp_path):
    """That is what bounds the memory of a merge."""
    entries = [Entry(b"hot", Position(0, at), 0, b"x" * 50) for at in range(200)]
    entries += [Entry(b"item %d" % at, Position(0, at), 0, b"x" * 50) for at in range(1200)]
    seen, sizes = [], []
    with Partitions(tmp_path / "parts") as parts:
        for entry in entries:
            parts.add(entry)
        for path in parts.paths(1000):
            found = list(read(path))
            seen += found
            sizes.append((path.stat().st_size, len({entry.key for entry in found})))
    assert sorted(seen) == sorted(entries)
    assert max(size for size, items in sizes if items > 1) <= 1000
    assert [items for size, items in sizes if size > 1000] == [1]


def test_there_is_no_file_for_items_that_the_window_lacks(tmp_path):
    """An item that is divided once more would otherwise take 64 files to make and to remove."""
    with Partitions(tmp_path / "parts") as parts:
        for at in range(50):
            parts.add(Entry(b"hot", Position(0, at), 0, b"x" * 50))
        assert [path.read_bytes().count(b"\n") for path in parts.paths(1000)] == [50]
        assert not (tmp_path / "parts").exists()
    with Partitions(tmp_path / "again") as parts:
        parts.add(Entry(b"hot", Position(0, 1), 0, b"x"))
        assert len(list((tmp_path / "again").iterdir())) == 1


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (1, 0, 2)])
@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("ended", [False, True])
def test_of_changes_with_one_position_the_images_tell_the_order(tmp_path, order, begun, ended):
    """As two sources bring them; with a change before them, or after them."""
    made = [change(1, "MODIFY", old=visits(at), new=visits(at + 1)) for at in (1, 2, 3)]
    tied = [made[at]._replace(event_id=f"e{at}") for at in order]
    before = [change(0, "MODIFY", old=visits(0), new=visits(1))] if begun else []
    after = [change(9, "MODIFY", old=visits(4), new=visits(5))] if ended else []
    (found,) = compacted(archived([[*after, *tied[1:]], [tied[0], *before], tied]), tmp_path)
    assert (found.old["visits"]["N"], found.new["visits"]["N"]) == ("0" if begun else "1", "5" if ended else "4")


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)])
def test_a_detour_at_one_position_is_not_taken_for_the_end(tmp_path, order):
    """1 to 2, 2 to 3, 3 to 2 and 2 to 4: the least id would follow the shorter way."""
    ways = [("a", 1, 2), ("c", 2, 3), ("d", 3, 2), ("b", 2, 4)]
    made = [change(1, "MODIFY", old=visits(old), new=visits(new))._replace(event_id=id) for id, old, new in ways]
    (found,) = compacted(archived([[made[at] for at in order]]), tmp_path)
    assert (found.old["visits"]["N"], found.new["visits"]["N"]) == ("1", "4")


def test_more_changes_at_one_position_than_are_tried_in_all_orders_are_a_chain(tmp_path):
    made = [change(1, "MODIFY", old=visits(at), new=visits(at + 1))._replace(event_id=f"e{9 - at}") for at in range(10)]
    (found,) = compacted(archived([made[5:], made[:5]]), tmp_path)
    assert (found.old["visits"]["N"], found.new["visits"]["N"]) == ("0", "10")


def test_a_change_and_its_reverse_at_one_position_end_the_same_each_time(tmp_path):
    there = change(1, "MODIFY", old=visits(1), new=visits(2))._replace(event_id="a")
    back = change(1, "MODIFY", old=visits(2), new=visits(1))._replace(event_id="b")
    found = [
        compacted(archived([batch]), tmp_path / str(at))[0] for at, batch in enumerate([[there, back], [back, there]])
    ]
    assert [(each.old, each.new) for each in found] == [(there.old.raw, there.old.raw)] * 2


def test_a_later_generation_comes_after_an_earlier_one(tmp_path):
    old = change(9, "MODIFY", old=visits(1), new=visits(2))
    new = change(0, "MODIFY", old=visits(2), new=visits(3), generation=1)
    (found,) = compacted(archived([[new, old]]), tmp_path)
    assert (found.old["visits"], found.new["visits"]) == ({"N": "1"}, {"N": "3"})


def switched(generation):
    """A change by the table's stream, and one by a Kinesis data stream, whose position is a time."""
    by_stream = change(1, "MODIFY", old=visits(1), new=visits(2))
    by_kinesis = change(2, "MODIFY", old=visits(2), new=visits(3))
    position = versions.of(generation, at(2000))
    return by_stream, by_kinesis._replace(version=position, created=CREATED + 2000.0)


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_two_sources_under_one_generation_have_no_order_and_are_refused(tmp_path, order):
    made = switched(0)
    found = archived([[made[at]] for at in order])
    with pytest.raises(ConfigError, match=r"generation 0 has changes of the table's stream and .* Kinesis .*--to"):
        compacted(found, tmp_path)
    assert [each.new for each in compacted(found, tmp_path, window(1000))] == [made[1].new.raw]


def test_a_source_with_a_generation_of_its_own_comes_after_the_one_before(tmp_path):
    (found,) = compacted(archived([switched(1)]), tmp_path)
    assert (found.old["visits"], found.new["visits"]) == ({"N": "1"}, {"N": "3"})


@pytest.mark.parametrize(
    ("begin", "end", "says"),
    [
        (-3601, 100, "the archive of users begins at 2026-11-22T10:00:00Z: begin there or later"),
        (7200, 7300, "the archive of users ends in the hour of 2026-11-22T10:00:00Z: begin earlier"),
        (100, 100, "which is not after its begin"),
        (0, 86_400 * 31, "which is yet to come"),
    ],
)
def test_a_window_that_is_not_within_the_archive_is_refused(tmp_path, begin, end, says):
    with pytest.raises(ConfigError, match=says):
        compacted(archived([[change(0)]]), tmp_path, window(begin, end))
    assert list(tmp_path.iterdir()) == []


def test_a_window_without_a_change_is_an_empty_export(tmp_path):
    found = archived([[change(0)], [change(1, user="u-2")._replace(created=CREATED + 3 * 3600.0)]])
    assert compacted(found, tmp_path, window(3600, 7200)) == []
    (summary,) = tmp_path.rglob("manifest-summary.json")
    assert json.loads(summary.read_text())["tableArn"].endswith(":table/users")


def cut(content: bytes) -> bytes:
    return content[:-9]


def second_line(text: bytes) -> Any:
    def broken(content: bytes) -> bytes:
        first, *_ = gzip.decompress(content).splitlines(True)
        return gzip.compress(first + text + b"\n")

    return broken


GOOD = {
    "Metadata": {
        "WriteTimestampMicros": {"N": "1"},
        "SequenceNumber": {"S": "1"},
        "Generation": {"N": "0"},
        "EventName": {"S": "MODIFY"},
    },
    "Keys": key("u-1"),
    "NewImage": key("u-1"),
}
DAMAGES = {
    "truncated": (cut, r":\d: the file is damaged: Compressed file ended"),
    "emptied": (lambda _: b"", r": the file is empty"),
    "not compressed": (gzip.decompress, ":1: the file is damaged: Not a gzipped file"),
    "no JSON": (second_line(b"{"), ":2: this is no line of an archive: it is no JSON: unexpected end of data"),
    "no line": (second_line(b"{}"), ":2: this is no line of an archive: it has no 'Metadata'$"),
    "no object": (second_line(b"[]"), ":2: this is no line of an archive: something in it has another type$"),
    "no old image": (
        second_line(json.dumps(GOOD).encode()),
        ":2: this is no line of an archive: the images are not those of its EventName$",
    ),
    "another key": (
        lambda content: gzip.compress(gzip.decompress(content).replace(b'"Keys":{"user_id"', b'"Keys":{"id"')),
        r":1: the key is id, and at s3://archive/\S*\.gz:1 it is user_id: a window is of one table: ",
    ),
    "no number": (second_line(json.dumps(GOOD).replace('"N": "1"', '"N": "x"').encode()), ":2: .*invalid literal"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_object_is_named_and_nothing_is_written(tmp_path, damage):
    s3 = bucket([[change(0), change(1)], [change(2), change(3)]])
    name = sorted(s3.state)[1]
    break_, says = DAMAGES[damage]
    s3.state[name] = break_(s3.state[name])
    with pytest.raises(ConfigError, match=rf"^s3://archive/{name}{says}"):
        compacted(Archive(Bucket(s3, "archive", ""), "users"), tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", ["NoSuchBucket", "AccessDenied"])
def test_a_place_that_another_try_does_not_change_is_to_be_corrected(code):
    class Refusing(S3):
        def put_object(self, **_: Any) -> Any:
            raise refusal("PutObject", code, "no", 403)

    to = sink("s3://exports/a", lambda: Refusing("exports"))
    with pytest.raises(ConfigError, match=f"^--output s3://exports: {code}; correct its name, or allow s3:PutObject"):
        compact(archived([[change(0)]]), window(), to, now=lambda: LATER)


@pytest.mark.parametrize("refused", range(6))
def test_an_export_that_was_not_finished_is_not_taken_for_one(refused):
    """Whichever write fails, the summary is not there; a second run succeeds beside what is left."""

    class Failing(S3):
        puts = 0

        def put_object(self, **request: Any) -> Any:
            self.puts += 1
            if self.puts == refused + 1:
                raise refusal("PutObject", "SlowDown", "no", 503)
            body = request.pop("Body")
            return super().put_object(Body=body if isinstance(body, bytes) else body.read(), **request)

    exports, found = Failing("exports"), archived([[change(0), change(1, user="u-2")]])
    to = sink("s3://exports/a/", lambda: exports)
    with pytest.raises(Unavailable, match=r"s3://exports/a/AWSDynamoDB/.*: SlowDown"):
        compact(found, window(), to, now=lambda: LATER)
    assert not [key for key in exports.state if key.endswith("manifest-summary.json")]
    done = compact(found, window(), to, now=lambda: LATER)
    read = incremental_export.changes(f"s3://exports/a/{done.folder}", lambda: exports)
    assert {each.keys["user_id"]["S"] for each in read} == {"u-1", "u-2"}


def test_the_summary_says_what_an_incremental_exports_does(tmp_path):
    compacted(archived([[change(0)]]), tmp_path)
    (path,) = tmp_path.rglob("manifest-summary.json")
    summary = json.loads(path.read_text())
    id = path.parent.name
    assert {name: summary[name] for name in summary if name not in ("endTime", "startTime")} == {
        "version": "2023-08-01",
        "exportArn": f"arn:aws:dynamodb:eu-west-1:123456789012:table/users/export/{id}",
        "tableArn": "arn:aws:dynamodb:eu-west-1:123456789012:table/users",
        "tableId": None,
        "exportFromTime": "2026-11-22T10:00:00.000Z",
        "exportToTime": "2026-11-22T12:00:00.000Z",
        "s3Bucket": "local",
        "s3Prefix": tmp_path.name,
        "s3SseAlgorithm": "AES256",
        "s3SseKmsKeyId": None,
        "manifestFilesS3Key": f"{tmp_path.name}/AWSDynamoDB/{id}/manifest-files.json",
        "billedSizeBytes": 0,
        "itemCount": 1,
        "outputFormat": "DYNAMODB_JSON",
        "outputView": "NEW_AND_OLD_IMAGES",
        "exportType": "INCREMENTAL_EXPORT",
    }
