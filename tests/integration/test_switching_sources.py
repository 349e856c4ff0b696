"""docs/runbooks/kinesis.md for the functions that it says go the same way, or in a pause: there and back, with the real
functions; nothing is lost, and nothing sent or archived twice."""

import re
import threading
import time

import pytest

from distributary.readers.archive import Archive
from distributary.readers.place import place
from distributary.stream.kinesis import data_stream_of
from local.attach import source_table
from local.aws import Aws
from local.emulators import embedded
from local.esm.mapping import Hooks
from local.function_logs import LogFiles
from local.stack import Project, Stack
from tests.docs.pages import DOCS, ROOT
from tests.integration.runbook import KEY, REGION, REPLICA_REGION, STREAM, disordered

DATA_STREAM = "orders-changes"
DRAIN_SECONDS = 120
RULES = """
from distributary.welcome import Content, Entity, Rule

ORDER = Entity(name="order", keys=("id",), attributes=("email",))
TEXT = {"en": Content("Order {{id}}", "Thank you.", "<p>Thank you.</p>")}
RULES = [Rule(name="placed", of=ORDER, to="email", content=TEXT, again="AGAIN")]
"""


class Shop:
    """The table `orders`, its application, and one function, which is deployed anew with each source."""

    def __init__(self, endpoints, folder, function, rules=""):
        self.endpoints, self.folder, self.function = endpoints, folder, function
        self.aws = Aws.at_emulator(endpoints.aws, REGION)
        self.dynamodb, self.kinesis = self.aws.client("dynamodb"), self.aws.client("kinesis")
        self.dynamodb.create_table(TableName="orders", **KEY, **STREAM)
        there = Aws.at_emulator(endpoints.aws, REPLICA_REGION).client("dynamodb")
        there.create_table(TableName="orders-replica", **KEY)
        self.replica, self.declared, self.changes = there, {}, []
        if rules:
            (folder / "welcome").mkdir()
            (folder / "welcome" / "rules.py").write_text(rules)
            self.declared = {"welcome": folder / "welcome"}
        self.stack = self.mapping = self.writer = None
        self.enabled = 0.0
        self.resting = threading.Event()
        self.deploy("", 0, "")

    def deploy(self, kinesis, generation, earlier):
        """As CloudFormation does it: the new mapping runs before the old one ends."""
        old, before = self.stack, self.mapping
        given = {"Generation": str(generation), "EarlierStreams": earlier, "BatchingWindowSeconds": "0"}
        given |= {"ReplicaTableName": "orders-replica", "ReplicaRegion": REPLICA_REGION}
        given |= {"ArchiveBatchingWindowSeconds": "0"}
        project = Project(ROOT, declared=self.declared)
        self.stack = Stack(project, self.aws, given, LogFiles(self.folder / "logs"))
        self.source, _ = source_table(self.aws, "orders", kinesis)
        hooks = Hooks(transform=disordered if data_stream_of(self.source.stream_arn) else self.of_this_stream)
        self.mapping = self.stack.attach(self.source.stream_arn, [self.function], hooks=hooks)[self.function]
        if old is not None:
            before.stop()
            old.close()

    def put(self, id, number):
        item = {"id": {"S": id}, "n": {"N": str(number)}, "email": {"S": f"{id}@example.com"}}
        self.dynamodb.put_item(TableName="orders", Item=item)
        self.changes.append(id)

    def delete(self, id):
        self.dynamodb.delete_item(TableName="orders", Key={"id": {"S": id}})

    def write(self, begin):
        """Six inserts, edits and deletes, and an insert again."""
        for at in range(begin, begin + 6):
            self.put(f"o{at}", at)
            self.put(f"o{begin}", at)
        self.delete(f"o{begin + 1}")
        self.put(f"o{begin + 1}", begin)

    def write_on(self):
        """Until `rest`: everything above again and again, on few items."""

        def on():
            while not self.resting.wait(0.02):
                self.write(0)

        self.resting.clear()
        self.writer = threading.Thread(target=on)
        self.writer.start()

    def rest(self):
        self.resting.set()
        if self.writer is not None:
            self.writer.join()

    def drain(self):
        asked = time.monotonic()
        while not self.mapping.drained(asked):
            self.mapping.check()
            assert time.monotonic() < asked + DRAIN_SECONDS, "not drained"
            time.sleep(0.05)

    def make_data_stream(self):
        self.kinesis.create_stream(StreamName=DATA_STREAM, ShardCount=1)
        arn = self.kinesis.describe_stream(StreamName=DATA_STREAM)["StreamDescription"]["StreamARN"]
        precision = {"ApproximateCreationDateTimePrecision": "MICROSECOND"}
        self.dynamodb.enable_kinesis_streaming_destination(
            TableName="orders", StreamArn=arn, EnableKinesisStreamingConfiguration=precision
        )

    def enable_another_stream(self):
        self.enabled = int(time.time()) + 1
        time.sleep(self.enabled - time.time())
        self.dynamodb.update_table(TableName="orders", StreamSpecification={"StreamEnabled": False})
        self.dynamodb.update_table(TableName="orders", **STREAM)

    def of_this_stream(self, records):
        """The emulator's new stream has what was in the old one, DynamoDB's has not."""
        return [each for each in records if each["dynamodb"]["ApproximateCreationDateTime"] >= self.enabled]

    def there_and_back(self, before, after):
        """`before` and `after` each deployment: of a data stream, and of another stream of the table."""
        first = self.source.stream_arn
        self.make_data_stream()
        before()
        self.deploy(DATA_STREAM, 1, f"{first}=0")
        after(20)
        second = self.source.stream_arn
        self.enable_another_stream()
        before()
        self.deploy("", 2, f"{first}=0,{second}=1")
        after(40)
        assert len({first, second, self.source.stream_arn}) == 3

    def close(self):
        self.rest()
        self.stack.close()

    def items(self, client, table):
        found = client.scan(TableName=table, ConsistentRead=True)["Items"]
        return {each["id"]["S"]: int(each["n"]["N"]) for each in found}


@pytest.fixture
def shop(tmp_path):
    with embedded(outbox=tmp_path / "outbox") as endpoints:
        made = []

        def of(function, rules=""):
            made.append(Shop(endpoints, tmp_path, function, rules))
            return made[-1]

        try:
            yield of
        finally:
            for each in made:
                each.close()


def test_a_mirror_goes_to_kinesis_and_back_while_the_application_writes(shop):
    mirror = shop("replicate")
    mirror.write(0)
    mirror.write_on()

    def seen(mark):
        until = time.monotonic() + DRAIN_SECONDS
        while mark not in mirror.items(mirror.replica, "orders-replica"):
            assert time.monotonic() < until, "the mirror does not catch up"
            time.sleep(0.05)

    def before():
        mark = f"mark{len(mirror.changes)}"
        mirror.put(mark, 0)
        seen(mark)

    mirror.there_and_back(before, lambda begin: mirror.write(begin))
    mirror.rest()
    mirror.drain()
    assert mirror.items(mirror.replica, "orders-replica") == mirror.items(mirror.dynamodb, "orders")


def test_an_archive_that_is_switched_in_a_pause_has_every_change_once(shop):
    archive = shop("archive")
    archive.write(0)
    bucket = archive.stack.spec("archive").environment["ARCHIVE_BUCKET"]

    def after(begin):
        archive.write(begin)
        archive.drain()

    archive.there_and_back(archive.drain, after)
    found = Archive(place(f"s3://{bucket}", lambda: archive.aws.client("s3")), "orders").changes()
    once = {each.at: each for each in found}
    assert len(once) == 3 * 14
    last = {each.keys["id"]["S"]: int(each.new["n"]["N"]) for _, each in sorted(once.items()) if each.new}
    assert last == archive.items(archive.dynamodb, "orders")


@pytest.mark.parametrize("again", ["never", "each"])
def test_welcome_that_is_switched_in_a_pause_sends_each_message_once(shop, again, tmp_path):
    welcome = shop("welcome", RULES.replace("AGAIN", again))
    welcome.write(0)

    def after(begin):
        welcome.write(begin)
        welcome.drain()

    welcome.there_and_back(welcome.drain, after)
    sent = [
        found
        for each in (tmp_path / "outbox").rglob("*")
        if each.is_file()
        for found in re.findall(r"^Subject: Order (o\d+)", each.read_text(errors="replace"), re.MULTILINE)
    ]
    inserted = [f"o{begin + at}" for begin in (0, 20, 40) for at in range(6)]
    again_inserted = [f"o{begin + 1}" for begin in (0, 20, 40)] if again == "each" else []
    assert sorted(sent) == sorted([*inserted, *again_inserted])


def test_the_page_says_which_functions_wait_for_a_pause():
    text = (DOCS / "runbooks" / "kinesis.md").read_text()
    assert "`replicate` goes the same way" in text
    assert "Switch while nothing is written" in text
