"""An item as it was at a moment, from an archive that holds its changes in no order and more than once."""

import gzip
import random

import pytest

from distributary.archive.history import State, life
from distributary.errors import ConfigError
from distributary.readers.archive import Archive
from distributary.readers.place import Bucket
from distributary.stream import version
from tests.fakes.s3 import S3
from tests.fakes.streaming import CREATED
from tests.unit.archives import archived
from tests.unit.records import change

KEY = {"user_id": {"S": "u-1"}}
TTL = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
SECOND = 1_000_000


def at(seconds):
    return (CREATED + seconds) * SECOND


def visits(number):
    return {"visits": {"N": str(number)}}


def lived(seed=0):
    """Made before the archive began; changed at 10 and twice at 20; expired at 4000; made again at 8000."""
    changes = [
        (10, change(1, "MODIFY", old=visits(1), new=visits(2))),
        (20, change(2, "MODIFY", old=visits(2), new={**visits(3), "name": {"S": "Ada"}})),
        (20, change(3, "MODIFY", old={**visits(3), "name": {"S": "Ada"}}, new=visits(4))),
        (4000, change(4, "REMOVE", old=visits(4), userIdentity=TTL)),
        (8000, change(5, "INSERT", new=visits(5))),
        (15, change(6, "INSERT", user="u-11")),
        (16, change(7, "MODIFY", user="u-2", new={"note": {"S": '"Keys":{"user_id":{"S":"u-1"}}'}})),
    ]
    timed = [each._replace(created=CREATED + float(seconds)) for seconds, each in changes] * 2
    random.Random(seed).shuffle(timed)
    return archived([timed[:5], timed[5:9], timed[9:]])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("seconds", "number"), [(0, 1), (9, 1), (10, 2), (19, 2), (20, 4), (3999, 4), (4000, None), (7999, None), (8000, 5)]
)
def test_an_item_is_shown_as_it_was_at_a_moment(seconds, number, seed):
    found = life(lived(seed), KEY, at(seconds))
    assert found.state is (State.ABSENT if number is None else State.EXISTS)
    assert found.item == (None if number is None else {**KEY, **visits(number)})


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
@pytest.mark.parametrize(("seconds", "number"), [(19, 1), (20, 4)])
def test_changes_of_one_position_are_in_the_order_that_their_images_tell(order, seconds, number):
    made = [change(at, "MODIFY", old=visits(at), new=visits(at + 1)) for at in (1, 2, 3)]
    tied = [made[at]._replace(version=made[0].version, created=CREATED + 20.0) for at in order]
    assert life(archived([tied[:1], tied[1:], tied]), KEY, at(seconds)).item == {**KEY, **visits(number)}


def test_a_life_has_each_change_once_with_what_it_changed():
    events = life(lived(), KEY, at(0)).events
    assert [(each.micros, each.kind, each.expired, each.attributes) for each in events] == [
        (at(10), "MODIFY", False, ("visits",)),
        (at(20), "MODIFY", False, ("name", "visits")),
        (at(20), "MODIFY", False, ("name", "visits")),
        (at(4000), "REMOVE", True, ("user_id", "visits")),
        (at(8000), "INSERT", False, ("user_id", "visits")),
    ]


def test_nothing_is_said_of_an_item_that_the_archive_never_saw():
    assert life(lived(), {"user_id": {"S": "u"}}, at(0)) == life(lived(), {"user_id": {"S": "other"}}, at(9000))
    assert life(lived(), {"user_id": {"S": "u"}}, at(0)).state is State.UNKNOWN


def test_an_item_did_not_exist_before_its_insert():
    assert life(lived(), {"user_id": {"S": "u-11"}}, at(14)).state is State.ABSENT


@pytest.mark.parametrize("generation", [0, 1])
def test_a_source_without_a_generation_of_its_own_is_refused(generation):
    """A Kinesis data stream's position is a time, which comes before each sequence number of the table's stream."""
    by_stream = change(1, "MODIFY", old=visits(1), new=visits(2))
    by_kinesis = change(2, "MODIFY", old=visits(2), new=visits(3))
    by_kinesis = by_kinesis._replace(version=version.of(generation, at(20)), created=CREATED + 20.0)
    other = by_stream._replace(keys=change(3, user="u-2").keys)
    if generation:
        assert life(archived([[by_kinesis, by_stream]]), KEY, at(30)).item == {**KEY, **visits(3)}
        return
    assert life(archived([[by_kinesis], [other]]), KEY, at(30)).item == {**KEY, **visits(3)}
    with pytest.raises(ConfigError, match=r"generation 0 has changes of the table's stream and .* Kinesis"):
        life(archived([[by_kinesis, by_stream]]), KEY, at(30))


def test_a_moment_before_the_archive_began_is_refused():
    """Its first change's old image is what the item was when the archive began, not at any time before."""
    with pytest.raises(ConfigError, match="the archive of users begins at 2026-11-22T10:00:00Z: begin there or later"):
        life(lived(), KEY, at(-3600))


def test_a_second_generation_follows_the_first_whatever_its_numbers():
    old = change(9, "MODIFY", old=visits(1), new=visits(2))
    new = change(0, "MODIFY", old=visits(2), new=visits(3), generation=1)._replace(created=CREATED + 5.0)
    assert life(archived([[new, old]]), KEY, at(9)).item == {**KEY, **visits(3)}


def test_a_table_without_an_archive_is_named():
    with pytest.raises(ConfigError, match=r"s3://archive/users/AWSDynamoDB/data: there is no archive of users"):
        life(Archive(Bucket(S3("archive"), "archive", ""), "users"), KEY, at(0))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"nonsense\n", "this is no line of an archive: it is no JSON: "),
        (b'{"Keys":{"user_id":{"S":"u-1"}}}\n', "this is no line of an archive: it has no 'Metadata'"),
    ],
    ids=["no JSON", "no change"],
)
def test_a_damaged_line_is_named_wherever_it_is(line, says):
    archive = lived()
    s3 = archive.place.s3
    name = sorted(s3.state)[1]
    whole = gzip.decompress(s3.state[name])
    s3.state[name] = gzip.compress(whole + line)
    number = len(whole.splitlines()) + 1
    with pytest.raises(ConfigError, match=rf"{name}:{number}: {says}"):
        life(archive, KEY, at(9000))


@pytest.mark.parametrize(
    ("key", "given"), [({"id": {"S": "u-1"}}, "id"), ({"user_id": {"N": "1"}}, "user_id")], ids=["name", "type"]
)
def test_a_key_of_another_table_is_refused(key, given):
    (kind,) = key[given]
    found = rf"^--key: the key of users is user_id \(S\), and {given} \({kind}\) was given; see .*\.json\.gz:1$"
    with pytest.raises(ConfigError, match=found):
        life(lived(), key, at(9000))


def test_a_life_has_every_change_of_one_moment():
    """Kinesis gives changes no position but their time."""
    first = change(1, "MODIFY", old=visits(1), new=visits(2))
    other = change(2, "MODIFY", old=visits(2), new={**visits(2), "name": {"S": "Ada"}})._replace(version=first.version)
    events = life(archived([[first, other], [other, first]]), KEY, at(0)).events
    assert sorted(each.attributes for each in events) == [("name",), ("visits",)]
