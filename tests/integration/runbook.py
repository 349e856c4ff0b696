"""The pages of docs/runbooks/: the commands that they give run in their order, and print what they say."""

import re
import shlex
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from random import Random
from types import SimpleNamespace

from cli.main import main
from distributary.stream.kinesis import data_stream_of, plain
from local.attach import source_table
from local.aws import Aws
from local.emulators import Endpoints
from local.esm.mapping import EventSourceMapping, Hooks
from local.function_logs import LogFiles
from local.lambda_client import LambdaClient
from local.stack import Project, Stack
from tests.docs.pages import DOCS, ROOT
from tests.fakes.stack import CloudFormation

REGION, REPLICA_REGION = "eu-west-1", "eu-central-1"
STREAM = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}}
KEY = {
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}
MORE = {"verify": ["--pause", "0"], "verify index": ["--service", "none"], "index apply": ["--service", "none"]}
"""What the tests add to commands that begin so: they wait for no lag, and the embedded OpenSearch asks for no
signature."""

ORDER = """
from distributary.{slice} import Entity, {names}

ORDER = Entity(name="order", keys=("id",), attributes=("customer", "status", "total"))
"""
OPEN = """Projection(
    name="open-orders", of=ORDER, pk="OPEN", sk="{id}", keep=("customer", "total"),
    where=lambda order: order.get("status") == "open",
),"""
SALES = """Aggregate(
    name="sales", of=ORDER, pk="CUSTOMER#{customer}", sk="SALES", count="orders", sum={"revenue": "total"},
),"""
INDEX = """Index(
    name="orders", of=ORDER, id="{id}",
    fields={"customer": {"type": "keyword"}, "status": {"type": "keyword"}, "total": {"type": "double"}},
)"""


def views(*declared: str) -> str:
    """The text of views.py."""
    return ORDER.format(slice="derive", names="Aggregate, Projection") + f"VIEWS = [\n{''.join(declared)}\n]\n"


def indexes() -> str:
    """The text of indexes.py."""
    return ORDER.format(slice="index", names="Index") + f"INDEXES = [{INDEX}]\n"


def replica() -> str:
    """The text of replica.py."""
    return ORDER.format(slice="replicate", names="Mirror") + "REPLICA = Mirror()\n"


@dataclass(frozen=True, slots=True)
class Step:
    """A command of a page, and what the page says that it prints; nothing if it does not say."""

    command: str
    prints: str


def steps(page: str, begin: str = "", end: str = "") -> list[Step]:
    """In the order of the page, from the heading `begin` to the heading `end` if they are given. What is printed is the
    block of text behind a block with one command."""
    text = (DOCS / "runbooks" / f"{page}.md").read_text()
    assert f"\n{begin}" in text, f"{page} has no heading {begin}"
    assert f"\n{end}" in text, f"{page} has no heading {end}"
    text = text[text.index(f"\n{begin}") :].partition(f"\n{end}\n" if end else "\0")[0]
    blocks = re.findall(r"^( *)```(console|text)\n(.*?)^\1```", text, re.DOTALL | re.MULTILINE)
    found: list[Step] = []
    for indent, language, body in blocks:
        content = re.sub(f"^{indent}", "", body, flags=re.MULTILINE)
        if language == "console":
            lines = content.replace("\\\n", " ").splitlines()
            found += [Step(line.removeprefix("$ "), "") for line in lines if line.startswith("$ ")]
        else:
            assert not found[-1].prints, f"{page}: {found[-1].command} prints two texts"
            found[-1] = Step(found[-1].command, content)
    return found


def masked(text: str) -> str:
    """With every number but 0 as N, every time as T, and every run of spaces as one."""
    timed = re.sub(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\dZ?)?", "T", text)
    numbered = re.sub(r"\d[\d,.]*\d|[1-9]", "N", timed)
    return "\n".join(" ".join(line.split()) for line in numbered.splitlines() if line.strip())


def _item(record) -> str:
    """The id of the item that a record is about."""
    return plain(record)["dynamodb"]["Keys"]["id"]["S"]


def disordered(records):
    """As Kinesis brings them: in any order, and some of them twice."""
    random = Random(len(records))
    return random.sample([*records, *random.sample(records, len(records) // 4)], len(records) + len(records) // 4)


def made_since(moment: float, records):
    """What a stream has that was enabled at this moment: the emulator's new stream has what was in the old one, too,
    but not what was written between the two. Its sequence numbers begin with the millisecond."""
    found = []
    for each in records:
        made = int(each["dynamodb"]["SequenceNumber"]) // 10**10 / 1000
        assert 0 <= made - each["dynamodb"]["ApproximateCreationDateTime"] < 60, "the emulator has other numbers by now"
        found += [each] if made >= moment else []
    return found


def enable_another_stream(client, table: str) -> float:
    """In place of the table's stream; a moment at which there is none."""
    client.update_table(TableName=table, StreamSpecification={"StreamEnabled": False})
    moment = time.time()
    time.sleep(0.002)
    client.update_table(TableName=table, **STREAM)
    return moment


def make_data_stream(aws: Aws, name: str) -> None:
    """A Kinesis data stream."""
    aws.client("kinesis").create_stream(StreamName=name, ShardCount=1)


def write_into_data_stream(aws: Aws, table: str, name: str) -> None:
    """The table does, from now on."""
    found = aws.client("kinesis").describe_stream(StreamName=name)["StreamDescription"]
    precision = {"ApproximateCreationDateTimePrecision": "MICROSECOND"}
    aws.client("dynamodb").enable_kinesis_streaming_destination(
        TableName=table, StreamArn=found["StreamARN"], EnableKinesisStreamingConfiguration=precision
    )


@dataclass
class Town:
    """A table `orders`, the stack `shop` with the project's functions, and an operator with the page in hand."""

    endpoints: Endpoints
    folder: Path
    capsys: object
    monkeypatch: object
    words: dict[str, str] = field(default_factory=dict)
    lost: set[str] = field(default_factory=set)
    """Items whose changes have left the stream."""
    waited: list[float] = field(default_factory=list)
    enabled: float = 0.0
    """When the stream was, if the table had another one before."""

    def __post_init__(self):
        self.aws = Aws.at_emulator(self.endpoints.aws, REGION)
        self.dynamodb = self.aws.client("dynamodb")
        for name, value in self.aws.environment().items():
            self.monkeypatch.setenv(name, value)
        self.monkeypatch.setenv("OPENSEARCH_ENDPOINT", self.endpoints.opensearch)
        self.monkeypatch.chdir(self.folder)
        (self.folder / "template.yaml").write_text((ROOT / "template.yaml").read_text())
        self.declare(derive=views(OPEN), index=indexes(), replicate=replica())
        self.monkeypatch.setattr("cli.feed.deployment.time", SimpleNamespace(sleep=self.waited.append))
        self.mappings: dict[str, EventSourceMapping] = {}
        self._writer, self._resting = None, threading.Event()

    # The application.

    def put(self, id, status="open", total="5", customer="ada"):
        total = {"N": total} if total.isdigit() else {"S": total}
        item = {"id": {"S": id}, "customer": {"S": customer}, "status": {"S": status}, "total": total}
        self.dynamodb.put_item(TableName="orders", Item=item)

    def delete(self, id):
        self.dynamodb.delete_item(TableName="orders", Key={"id": {"S": id}})

    def fill(self, many, first=0):
        for at in range(first, first + many):
            self.put(f"o{at:05}", "open" if at % 2 else "paid", customer=f"c{at % 7}")

    def write_on(self):
        """The application changes, adds and deletes orders, until `rest`."""
        self._resting.clear()
        self._writer = threading.Thread(target=self._write)
        self._writer.start()

    def rest(self):
        self._resting.set()
        if self._writer is not None:
            self._writer.join()

    def _write(self):
        at = 0
        while not self._resting.wait(0.02):
            self.put(f"o{at % 40:05}", ("open", "paid")[at % 3 == 0], str(at), f"c{at % 5}")
            if at % 4 == 0:
                self.delete(f"o{(at * 7) % 40:05}")
            at += 1

    def make_replica(self):
        there = Aws.at_emulator(self.endpoints.aws, REPLICA_REGION).client("dynamodb")
        there.create_table(TableName="orders-replica", **KEY)

    # The stack.

    def declare(self, **files):
        names = {"derive": "views.py", "index": "indexes.py", "replicate": "replica.py"}
        for function, text in files.items():
            (self.folder / "functions" / function).mkdir(parents=True, exist_ok=True)
            (self.folder / "functions" / function / names[function]).write_text(text)

    @property
    def declared(self):
        return {each: self.folder / "functions" / each for each in ("derive", "index", "replicate")}

    @property
    def given(self):
        """The template's parameters."""
        replica = {"ReplicaTableName": "orders-replica", "ReplicaRegion": REPLICA_REGION}
        return {"OpenSearchEndpoint": self.endpoints.opensearch, **replica}

    def deploy(self, *functions):
        """What `sam deploy` does: the functions' code is the project's, and they read the stream."""
        if not hasattr(self, "stack"):
            project = Project(ROOT, declared=self.declared)
            self.stack = Stack(project, self.aws, self.given, LogFiles(self.folder / "logs"))
            self.source, self.spec = source_table(self.aws, "orders")
            self.monkeypatch.setattr("cli.target.clients", lambda *_: self._clients())
            self.monkeypatch.setattr("cli.declared.clients", lambda *_: self._clients())
            environment = self.stack.spec("derive", self.source.stream_arn).environment
            self.words |= {
                "DERIVED": environment["DERIVED_TABLE"],
                "LEDGER": environment["LEDGER_TABLE"],
                "TOMBSTONES": environment["TOMBSTONE_TABLE"],
                "ENDPOINT": self.endpoints.opensearch,
            }
        for each in functions:
            if each in self.stack._functions:
                self.stack.restart(each)
            if each not in self.mappings:
                self.attach(each)

    def redeploy(self, kinesis, generation, earlier):
        """`derive` on another source, with a generation of its own. The new mapping runs before the old one ends."""
        old, before = self.stack, self.mappings.pop("derive")
        given = {**self.given, "Generation": generation, "EarlierStreams": earlier}
        self.stack = Stack(Project(ROOT, declared=self.declared), self.aws, given, LogFiles(self.folder / "logs"))
        self.source, self.spec = source_table(self.aws, "orders", kinesis)
        self.attach("derive")
        before.stop()
        old.close()

    def make_data_stream(self):
        make_data_stream(self.aws, "orders-changes")

    def write_into_data_stream(self):
        write_into_data_stream(self.aws, "orders", "orders-changes")

    def catch_up(self, seconds=300):
        """Until `derive` has read what has been written by now: what comes by one shard, it reads in its order."""
        mark = f"mark-{time.monotonic_ns()}"
        self.put(mark)
        until, key = time.monotonic() + seconds, {"pk": {"S": "OPEN"}, "sk": {"S": mark}}
        while not self.dynamodb.get_item(TableName=self.words["DERIVED"], Key=key, ConsistentRead=True).get("Item"):
            assert time.monotonic() < until, "derive does not catch up"
            time.sleep(0.05)

    def attach(self, function):
        """From the oldest record that the stream still has."""
        shuffled = disordered if data_stream_of(self.source.stream_arn) else partial(made_since, self.enabled)
        hooks = Hooks(transform=lambda events: shuffled([each for each in events if _item(each) not in self.lost]))
        attached = self.stack.attach(self.source.stream_arn, [function], hooks=hooks)
        self.mappings[function] = attached[function]

    def detach(self, function):
        """As a mapping that is disabled, or whose function fails all the time."""
        self.mappings.pop(function).stop()

    def drain(self, seconds=600):
        asked = time.monotonic()
        while not all(mapping.drained(asked) for mapping in self.mappings.values()):
            assert time.monotonic() < asked + seconds, "not drained"
            time.sleep(0.05)

    def close(self):
        self.rest()
        if hasattr(self, "stack"):
            self.stack.close()

    def _clients(self):
        functions = LambdaClient(lambda name: self.stack.function(name, self.source.stream_arn))
        specs = {name: self.stack.spec(name, self.source.stream_arn) for name in ("derive", "index", "replicate")}
        outputs = {f"{name.capitalize()}FunctionArn": spec.arn for name, spec in specs.items()}
        outputs["ParkingBucketName"] = specs["derive"].environment["PARKING_BUCKET"]

        @cache
        def client(service):
            given = {"lambda": functions, "cloudformation": CloudFormation("shop", outputs)}
            return given.get(service) or self.aws.client(service)

        return client

    # The operator.

    def follow(self, page: str, hands: Mapping[str, Callable[[], object]], status: Mapping[str, int], end: str = ""):
        """Runs each command of the page, before the heading `end` if one is given. `hands` are what the test does by
        itself before a command that begins so; for a command of another program, in its place. `status` has the exit
        statuses that are not 0, by command."""
        unused, expected = set(hands), dict(status)
        for step in steps(page, end=end):
            hand = next((begins for begins in hands if step.command.startswith(begins)), None)
            if hand is not None:
                hands[hand]()
                unused.discard(hand)
            if not step.command.startswith("distributary "):
                assert hand is not None, f"{page}: nothing does {step.command}"
                continue
            self.run(step, expected.pop(step.command, 0))
        assert (unused, expected) == (set(), {}), "not on the page"

    def run(self, step: Step, status: int):
        words = [self.words.get(word, word) for word in shlex.split(step.command)[1:]]
        added = [each for form, each in MORE.items() if step.command.startswith(f"distributary {form}")]
        self.capsys.readouterr()
        found = main(["--project", str(self.folder), *words, *(word for each in added for word in each)])
        said = self.capsys.readouterr()
        assert found == status, f"{step.command}: {found}\n{said.out}{said.err}"
        if step.prints:
            assert masked(said.out) == masked(step.prints), f"{step.command}\n{said.out}\n{said.err}"
