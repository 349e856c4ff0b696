"""examples/s3_metadata: two workers leave the item of the object as it is, and all that is downstream is right."""

import itertools
import json
from functools import partial
from pathlib import Path

import pytest

from distributary.stream.dynamodb_stream import decode
from examples.s3_metadata import example, workload
from examples.s3_metadata.writer import TABLE, Audit, ObjectIndex, objects_of
from tests.local.conftest import run_example

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "examples/s3_metadata/events"
BUCKET, RACED = "raced", "s3_objects_raced"
STATES = (None, b"one", b"other")
"""Of an object: absent, or with this content."""

CASES = list(itertools.product(STATES, STATES))

_keys = itertools.count()


class Interrupted:
    """The worker's clients, which let something happen before one of their calls. `happened`: whether it made so
    many."""

    def __init__(self, at, happens):
        self.left, self.happens, self.happened = at, happens, False

    def around(self, client):
        return _Client(client, self)

    def before_call(self):
        self.left -= 1
        if not self.left:
            self.happened = True
            self.happens()


class _Client:
    def __init__(self, client, interrupted):
        self.client, self.interrupted, self.exceptions = client, interrupted, client.exceptions

    def __getattr__(self, name):
        def call(**request):
            self.interrupted.before_call()
            return getattr(self.client, name)(**request)

        return call


@pytest.fixture(scope="module")
def clients(aws):
    s3, dynamodb = aws.client("s3"), aws.client("dynamodb")
    s3.create_bucket(Bucket=BUCKET)
    dynamodb.create_table(**{**TABLE, "TableName": RACED})
    return s3, dynamodb


def index(s3, dynamodb):
    return ObjectIndex(s3, dynamodb, table=RACED)


def change(s3, key, content):
    if content is None:
        s3.delete_object(Bucket=BUCKET, Key=key)
    else:
        s3.put_object(Bucket=BUCKET, Key=key, Body=content)


def shown(clients, key):
    """What the table says of the object: its size, None if it is said to be absent."""
    item = clients[1].get_item(TableName=RACED, Key={"bucket": {"S": BUCKET}, "key": {"S": key}}, ConsistentRead=True)
    return int(item["Item"]["size"]["N"]) if item["Item"]["state"]["S"] == "present" else None


def interruptions(clients, known, arrive, happens):
    """Lets a worker look at an object, and something happen before each of its calls in turn; the objects' keys."""
    for at in itertools.count(1):
        key = f"{RACED}-{next(_keys)}"
        if known:
            change(clients[0], key, b"first of all")
            index(*clients).look(BUCKET, key)
        arrive(key)
        interrupted = Interrupted(at, partial(happens, key))
        index(*(interrupted.around(each) for each in clients)).look(BUCKET, key)
        if not interrupted.happened:
            assert at > 3, "a look has three calls"
            return
        yield key


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(("before", "after"), CASES)
def test_a_worker_that_is_overtaken_leaves_the_object_as_it_is(clients, before, after, known):
    """The object changes, and another worker looks at it, while the first one looks."""

    def arrive(key):
        change(clients[0], key, before)

    def overtake(key):
        change(clients[0], key, after)
        index(*clients).look(BUCKET, key)

    for key in interruptions(clients, known, arrive, overtake):
        assert shown(clients, key) == (None if after is None else len(after))


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(("before", "after"), CASES)
def test_a_worker_with_an_old_notification_leaves_the_object_as_it_is(clients, before, after, known):
    """The other way round: a worker of the first change runs into the calls of the last one's."""

    def arrive(key):
        change(clients[0], key, before)
        change(clients[0], key, after)

    for key in interruptions(clients, known, arrive, partial(index(*clients).look, BUCKET)):
        assert shown(clients, key) == (None if after is None else len(after))


def test_a_look_that_fails_leaves_the_notification_in_the_queue(aws, clients):
    s3, dynamodb = clients
    sqs = aws.client("sqs")
    queue = sqs.create_queue(QueueName="raced", Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody=(EVENTS / "notification.json").read_text().replace("pictures", BUCKET))

    def fail():
        raise ConnectionError

    with pytest.raises(ConnectionError):
        index(*(Interrupted(2, fail).around(each) for each in clients)).work(sqs, queue)
    assert index(s3, dynamodb).work(sqs, queue) == 1
    assert index(s3, dynamodb).work(sqs, queue) == 0
    assert shown(clients, "originals/2026/größe 1.jpg") is None


def test_an_audit_names_what_no_notification_told_of(clients, aws):
    s3, dynamodb = clients
    s3.create_bucket(Bucket="audited")
    looked = index(s3, dynamodb)
    for key in ("same", "changed", "gone"):
        s3.put_object(Bucket="audited", Key=key, Body=b"one")
        looked.look("audited", key)
    s3.put_object(Bucket="audited", Key="changed", Body=b"other")
    s3.put_object(Bucket="audited", Key="new", Body=b"one")
    s3.delete_object(Bucket="audited", Key="gone")
    found = looked.audit("audited")
    assert found == Audit(unindexed=["new"], orphaned=["gone"], stale=["changed"])
    for key in found.all():
        looked.look("audited", key)
    assert looked.audit("audited") == Audit([], [], [])


def test_a_notification_as_aws_documents_it_names_its_object():
    found = list(objects_of((EVENTS / "notification.json").read_text()))
    assert found == [("pictures", "originals/2026/größe 1.jpg")]
    test_event = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "pictures"}
    assert list(objects_of(json.dumps(test_event))) == []


def test_the_sample_events_are_of_an_object_that_is_put_and_deleted():
    records = json.loads((EVENTS / "put_and_deleted.json").read_text())["Records"]
    changes = [decode(record, lambda _: 0) for record in records]
    assert [change.new["state"] for change in changes] == ["present", "deleted"]
    assert changes[0].version < changes[1].version


@pytest.fixture(scope="module")
def ran(endpoints):
    """The run, and what its writer wrote."""
    return run_example(example.EXAMPLE, endpoints, 240)


def test_all_that_is_downstream_of_the_objects_is_what_s3_says(ran):
    result, _ = ran
    assert result.wrong == []
    assert {name.split("#")[0] for name in result.made.rows} == {"FOLDER", "ORPHANS"}
    assert {each["storage_class"] for each in result.made.documents.values()} == set(workload.CLASSES)


def test_objects_that_were_there_before_the_notifications_are_found(ran):
    _, journal = ran
    assert {f"before/{n}.bin" for n in range(workload.EARLY)} <= set(journal.audit.unindexed)
    assert set(journal.audit.unindexed) < journal.objects.keys()
