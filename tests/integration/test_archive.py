"""The built function on a real stream, rewound and killed: the archive in S3 holds every change, and gives it back."""

import json
import time

import pytest

from cli.main import main
from distributary.readers import incremental_export
from distributary.readers.archive import Archive
from distributary.readers.place import place
from local.stack import Project, Stack

TABLE = "people"
DRAIN_SECONDS = 90
pytestmark = pytest.mark.emulator


class Application:
    """Writes to the table, and knows what it held at each time."""

    def __init__(self, client):
        self.client, self.items, self.writes = client, {}, 0
        self.arn = client.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )["TableDescription"]["LatestStreamArn"]

    def write(self, count):
        for _ in range(count):
            number, self.writes = self.writes, self.writes + 1
            name = f"i{number % 17}"
            if number % 5 == 4 and name in self.items:
                self.client.delete_item(TableName=TABLE, Key={"id": {"S": name}})
                del self.items[name]
            else:
                item = {"id": {"S": name}, "n": {"N": str(number)}, "b": {"B": bytes([number % 256])}}
                self.client.put_item(TableName=TABLE, Item=item)
                self.items[name] = number


def drained(mapping):
    asked, until = time.monotonic(), time.monotonic() + DRAIN_SECONDS
    while not mapping.drained(asked):
        mapping.check()
        assert time.monotonic() < until, "not drained"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def archived():
    """The archive's bucket at an emulator that is this test's own, and the application that wrote."""
    with Stack.start(Project(), {"ArchiveBatchSize": "20"}) as stack:
        application = Application(stack.aws.client("dynamodb"))
        mapping = stack.attach(application.arn, ["archive"])["archive"]
        application.write(60)
        drained(mapping)
        for shard in mapping.shards():
            mapping.rewind(shard)
        application.write(60)
        stack.function("archive").kill()
        application.write(60)
        drained(mapping)
        assert mapping.tally.counts()["delivered"] > application.writes, "a rewound stream delivers changes again"
        yield stack, application


def numbers(state):
    return {name: int(item["n"]["N"]) for name, item in state.items()}


def test_every_change_is_archived_and_the_last_images_are_the_table(archived):
    stack, application = archived
    bucket = stack.spec("archive").environment["ARCHIVE_BUCKET"]
    changes = list(Archive(place(f"s3://{bucket}", lambda: stack.aws.client("s3")), TABLE).changes())
    once = {each.at: each for each in changes}
    assert len(once) == application.writes, f"of {len(changes)} lines"
    last = {each.keys["id"]["S"]: each.new for _, each in sorted(once.items())}
    assert numbers({name: item for name, item in last.items() if item}) == application.items


def test_an_export_of_the_whole_archive_is_the_table(archived, monkeypatch, capsys):
    stack, application = archived
    bucket, s3 = stack.spec("archive").environment["ARCHIVE_BUCKET"], stack.aws.client("s3")
    for name, value in stack.aws.environment().items():
        monkeypatch.setenv(name, value)
    s3.create_bucket(Bucket="exports")
    hours = [int(time.time() // 3600 + delta) * 3600 for delta in (-1, 0)]
    first = s3.list_objects_v2(Bucket=bucket)["Contents"][0]["Key"]
    begin = time.strftime("%Y-%m-%dT%H:00:00Z", time.gmtime(min(hour for hour in hours if _hour(hour) in first)))
    time.sleep(1.1)
    end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    given = [
        "--archive",
        f"s3://{bucket}",
        "--table",
        TABLE,
        "--from",
        begin,
        "--to",
        end,
        "--output",
        "s3://exports/a",
    ]
    assert main(["archive", "compact", *given, "--json", "-"]) == 0
    folder = json.loads(capsys.readouterr().out)["folder"]
    found = list(incremental_export.changes(f"s3://exports/a/{folder}", lambda: s3, ("id",)))
    assert all(each.old is None for each in found), "the table was empty before"
    assert numbers({each.keys["id"]["S"]: each.new for each in found}) == application.items
    name, number = next(iter(application.items.items()))
    key = json.dumps({"id": {"S": name}})
    assert (
        main(["archive", "at", end, "--archive", f"s3://{bucket}", "--table", TABLE, "--key", key, "--json", "-"]) == 0
    )
    lived = json.loads(capsys.readouterr().out)
    assert lived["item"]["n"] == {"N": str(number)}
    assert lived["changes"][0]["kind"] == "INSERT"


def _hour(second):
    return time.strftime("day=%Y-%m-%d/hour=%H", time.gmtime(second))
