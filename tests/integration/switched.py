"""A shop whose functions go from the table's stream to a Kinesis data stream and back: docs/runbooks/kinesis.md."""

import re
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import cycle
from pathlib import Path

from cli.main import main
from distributary.readers.archive import Archive
from distributary.readers.place import place
from distributary.stream.kinesis import data_stream_of, plain
from local.attach import source_table
from local.aws import Aws
from local.build import TRUNK
from local.emulators import Endpoints
from local.esm.mapping import Hooks
from local.function_logs import LogFiles
from local.stack import Project, Stack
from local.trunk import Trunk
from tests.docs.pages import ROOT
from tests.integration.runbook import (
    KEY,
    REGION,
    REPLICA_REGION,
    STREAM,
    disordered,
    enable_another_stream,
    made_since,
    make_data_stream,
    write_into_data_stream,
)

DATA_STREAM = "orders-changes"
DRAIN_SECONDS = 120
FILES = {"derive": "views.py", "index": "indexes.py", "replicate": "replica.py", "welcome": "rules.py"}


class Shop:
    """The table `orders`, its application, and functions, which are deployed anew with each source. `declared`: by
    function, the text of its declarations. With a `trunk`, one function reads for all of them."""

    def __init__(
        self,
        endpoints: Endpoints,
        folder: Path,
        functions: Sequence[str],
        declared: Mapping[str, str],
        trunk: bool = False,
    ) -> None:
        self.endpoints, self.folder, self.functions, self.trunk = endpoints, folder, functions, trunk
        self.aws = Aws.at_emulator(endpoints.aws, REGION)
        self.dynamodb = self.aws.client("dynamodb")
        self.dynamodb.create_table(TableName="orders", **KEY, **STREAM)
        self.replica = Aws.at_emulator(endpoints.aws, REPLICA_REGION).client("dynamodb")
        self.replica.create_table(TableName="orders-replica", **KEY)
        (folder / "template.yaml").write_text((ROOT / "template.yaml").read_text())
        self.declared = {name: self._written(name, text) for name, text in declared.items()}
        self.stack = self.source = self.writer = None
        self.mappings, self.ended, self.said = {}, {}, []
        self.enabled, self.marks, self.inserted = 0.0, 0, set()
        self.resting = threading.Event()
        self.deploy("", 0, "")

    def _written(self, function: str, text: str) -> Path:
        folder = self.folder / "functions" / function
        folder.mkdir(parents=True)
        (folder / FILES[function]).write_text(text)
        return folder

    # The stack.

    def make(self, generation: int, earlier: str, **given: str) -> Stack:
        """The stack with these parameters, and nothing attached."""
        given = {"Generation": str(generation), "EarlierStreams": earlier, "BatchingWindowSeconds": "0", **given}
        given |= {"ReplicaTableName": "orders-replica", "ReplicaRegion": REPLICA_REGION}
        given |= {"ArchiveBatchingWindowSeconds": "0", "OpenSearchEndpoint": self.endpoints.opensearch}
        return Stack(Project(ROOT, declared=self.declared), self.aws, given, LogFiles(self.folder / "logs"))

    def deploy(
        self,
        kinesis: str,
        generation: int,
        earlier: str,
        overlap: Callable[[], object] = lambda: None,
        stays: Sequence[str] = (),
    ) -> None:
        """As CloudFormation does it: the new mapping runs before the old one ends; `overlap` happens between. A
        function that `stays` keeps its mapping."""
        old, before, left = self.stack, self.mappings, self.source
        self.stack = self.make(generation, earlier)
        if old is None and "index" in self.functions:
            self.stack.apply_index()
        self.source, _ = source_table(self.aws, "orders", kinesis)
        goes = [each for each in self.functions if each not in stays]
        self.mappings = self._attached([TRUNK] if self.trunk else goes, self.source.stream_arn)
        if stays:
            self.mappings |= self._attached(stays, left.stream_arn)
        overlap()
        for each in before.values():
            each.stop()
        if old is not None:
            old.close()

    def _attached(self, readers: Sequence[str], stream: str):
        """Their mappings, from the oldest record that the stream still has."""
        transform = disordered if data_stream_of(stream) else partial(made_since, self.enabled)
        hooks = {each: Hooks(transform, self._ending(each, stream)) for each in readers}
        if self.trunk:
            return {TRUNK: Trunk.attach(self.stack, stream, self.functions, self.said.append, hooks=hooks[TRUNK])}
        return {each: self.stack.attach(stream, [each], hooks=hooks[each])[each] for each in readers}

    def _ending(self, reader: str, stream: str):
        ended = self.ended[reader, stream] = set()
        return lambda _shard, records: ended.update(plain(each)["dynamodb"]["Keys"]["id"]["S"] for each in records)

    # The application.

    def put(self, id: str, number: int) -> None:
        item = {"id": {"S": id}, "n": {"N": str(number)}, "email": {"S": f"{id}@example.com"}}
        self.dynamodb.put_item(TableName="orders", Item=item)
        self.inserted.add(id)

    def delete(self, id: str) -> None:
        self.dynamodb.delete_item(TableName="orders", Key={"id": {"S": id}})

    def write(self, begin: int) -> None:
        """Six inserts, edits and deletes, and an insert again."""
        for at in range(begin, begin + 6):
            self.put(f"o{at}", at)
            self.put(f"o{begin}", at)
        self.delete(f"o{begin + 1}")
        self.put(f"o{begin + 1}", begin)

    def write_on(self, groups: int = 1) -> None:
        """Until `rest`: everything above again and again, on so many groups of six items in turn."""

        def on():
            for group in cycle(range(groups)):
                if self.resting.wait(0.02):
                    return
                self.write(100 + 10 * group)

        self.resting.clear()
        self.writer = threading.Thread(target=on)
        self.writer.start()

    def rest(self) -> None:
        self.resting.set()
        if self.writer is not None:
            self.writer.join()

    # The operator.

    def drain(self) -> None:
        asked = time.monotonic()
        while not all(mapping.drained(asked) for mapping in self.mappings.values()):
            for mapping in self.mappings.values():
                mapping.check()
            assert time.monotonic() < asked + DRAIN_SECONDS, f"not drained {self.said}"
            time.sleep(0.05)

    def catch_up(self) -> None:
        """Until every reader has read what has been written by now; a shuffled page may end with what follows it."""
        for _ in range(2):
            self.marks += 1
            mark = f"mark{self.marks}"
            self.put(mark, self.marks)
            readers = [self.ended[each, self.source.stream_arn] for each in self.mappings]
            until = time.monotonic() + DRAIN_SECONDS
            while not all(mark in ended for ended in readers):
                assert time.monotonic() < until, f"a reader does not catch up: {self.said}"
                time.sleep(0.05)

    def pause(self, branch: str) -> None:
        """A branch of the trunk, until something of it is deferred."""
        feeder, until = self.mappings[TRUNK].feeder, time.monotonic() + DRAIN_SECONDS
        feeder.breakers.pause(branch)
        while not any(True for _ in feeder.store.places(branch)):
            assert time.monotonic() < until, f"nothing of {branch} is deferred"
            time.sleep(0.1)

    def resume(self, branch: str) -> None:
        self.mappings[TRUNK].feeder.breakers.resume(branch)

    def there_and_back(
        self,
        before: Callable[[], object],
        after: Callable[[int], object],
        overlap: Callable[[], object] = lambda: None,
    ) -> None:
        """`before` and `after` each deployment: of a data stream, and of another stream of the table. `overlap`: while
        both mappings are there."""
        first = self.source.stream_arn
        make_data_stream(self.aws, DATA_STREAM)
        write_into_data_stream(self.aws, "orders", DATA_STREAM)
        before()
        self.deploy(DATA_STREAM, 1, f"{first}=0", overlap)
        after(20)
        second = self.source.stream_arn
        self.enabled = enable_another_stream(self.dynamodb, "orders")
        before()
        self.deploy("", 2, f"{first}=0,{second}=1", overlap)
        after(40)
        assert len({first, second, self.source.stream_arn}) == 3

    def close(self) -> None:
        self.rest()
        for each in self.mappings.values():
            each.stop()
        self.stack.close()

    # What is kept.

    def items(self, client, table: str) -> dict[str, int]:
        found = client.scan(TableName=table, ConsistentRead=True)["Items"]
        return {each["id"]["S"]: int(each["n"]["N"]) for each in found}

    def logged(self, function: str) -> str:
        return (self.folder / "logs" / f"{function}.log").read_text()

    def archive(self) -> Archive:
        bucket = self.stack.spec("archive").environment["ARCHIVE_BUCKET"]
        return Archive(place(f"s3://{bucket}", lambda: self.aws.client("s3")), "orders")

    def archived(self) -> dict[str, int]:
        """What the archive says that the table holds: of each item the last change, however often each came."""
        last = {(each.at, each.keys["id"]["S"]): each.new for each in self.archive().changes()}
        newest = {id: new for (_, id), new in sorted(last.items(), key=lambda each: each[0])}
        return {id: int(new["n"]["N"]) for id, new in newest.items() if new}

    def sent(self) -> list[str]:
        """The ids of the items of which messages were sent, sorted."""
        found = (each.read_text(errors="replace") for each in (self.folder / "outbox").rglob("*") if each.is_file())
        return sorted(id for text in found for id in re.findall(r"^Subject: Order (\w+)", text, re.MULTILINE))


def run(capsys, shop: Shop, *words: str) -> tuple[int, str]:
    """A command in the shop's project: its status, and what it printed."""
    capsys.readouterr()
    status = main(["--project", str(shop.folder), *words])
    said = capsys.readouterr()
    return status, said.out + said.err
