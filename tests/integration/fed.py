"""A stack with derive, index and feed on the emulator: its Lambda and its state machine run the functions' code."""

import io
import itertools
import json
import threading
import time
import zipfile
from collections import deque
from contextlib import suppress
from dataclasses import replace
from functools import cache
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import yaml

from distributary.consumer.aws import ALIAS, client
from distributary.consumer.consume import Deployment, consume
from distributary.consumer.deadline import FOREVER, Deadline
from distributary.consumer.outcome import parked
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.reconcile import MOST_KEYS
from distributary.consumer.telemetry import Telemetry
from distributary.derive import Aggregate, Entity, Projection
from distributary.derive import factory as of_derive
from distributary.derive.settings import DeriveSettings
from distributary.dynamodb.client import clients
from distributary.dynamodb.read_budget import Pace
from distributary.dynamodb.stream_bindings import StreamBindings
from distributary.errors import DistributaryError, Rejected
from distributary.feed.part import Feeding
from distributary.feed.settings import FeedSettings
from distributary.index import factory as of_index
from distributary.index.opensearch import connect
from distributary.index.opensearch.schema import apply
from distributary.index.opensearch.target import template
from distributary.index.settings import IndexSettings
from distributary.stream.records import decode
from indexes import INDEXES
from local.aws import Aws
from local.esm.lane import Backoff
from local.esm.mapping import EventSourceMapping, Hooks, Stream
from local.loopback import LoopbackServer
from local.map_runs import FUNCTION_ERROR
from local.runtime_api import Answer
from local.stack import Project, Stack
from tests.unit.branches import Context
from tests.unit.records import stream_record

ROOT = Path(__file__).parents[2]
BRANCHES = ("derive", "index")
REGION, STACK, TABLE = "us-east-1", "shop", "users"
PROXY = "MINISTACK_LAMBDA_PROXY_URL"
ROLE = "arn:aws:iam::000000000000:role/feed"
(INDEX,) = INDEXES
WRITES = 300
"""At least so many may be made beside a run; a fifth of the users', if that is more."""

DECLARED = """
from distributary.derive import Aggregate, Entity, Projection

USER = Entity(name="user", keys=("user_id",), attributes=("name", "status", "visits"))
VIEWS = [
    Projection(name="profile", of=USER, pk="USER#{user_id}", sk="PROFILE", keep=("name",)),
    Aggregate(name="by-status", of=USER, pk="STATUS#{status}", sk="TOTALS", count="users", sum={"visits": "visits"}),
]
"""


class Function:
    """As many warm environments as ever ran at the same time, each of which `make` makes."""

    def __init__(self, make):
        self._make, self._idle = make, deque()

    def __call__(self, event):
        environment = self._idle.pop() if self._idle else self._make()
        try:
            return environment(event)
        finally:
            self._idle.append(environment)


class Fed:
    """`invoked`: what each function was given; `refusing`: functions that raise; `pages`: how many pages feed gives in
    one invocation; `dead`: whether every invocation ends without an answer."""

    def __init__(self, endpoints, folder):
        self.aws, self.endpoints, self.derived = Aws.at_emulator(endpoints.aws, REGION), endpoints, folder
        self.dynamodb, self.states = self.aws.client("dynamodb"), self.aws.client("stepfunctions")
        self.s3 = self.aws.client("s3")
        self.invoked, self.refusing, self.pages, self.dead = [], set(), 10**6, threading.Event()
        views = folder / "functions" / "derive"
        views.mkdir(parents=True)
        (views / "views.py").write_text(DECLARED)
        (folder / "template.yaml").symlink_to(ROOT / "template.yaml")
        self.arn = self._table()
        parameters = {"OpenSearchEndpoint": endpoints.opensearch, "OpenSearchService": "none", "Feed": "true"}
        parameters |= {f"{branch.capitalize()}SourceArn": self.arn for branch in BRANCHES}
        self.stack = Stack(Project(ROOT), self.aws, parameters, print)
        self.environment = {name: self.stack.spec(name, self.arn).environment for name in BRANCHES}
        self.environment["feed"] = dict(self.stack.spec("feed").environment)
        for branch in BRANCHES:
            self.environment["feed"][f"{branch.upper()}_FUNCTION"] = f"{_arn_of(branch)}:{ALIAS}"
        self.parking = self.environment["derive"]["PARKING_BUCKET"]
        apply(connect.connect(endpoints.opensearch, "none"), INDEX, 0, template(INDEX))
        makes = {"derive": self._derive, "index": self._index, "feed": self._feed}
        self.functions = {name: Function(make) for name, make in makes.items()}
        self._forwarder = LoopbackServer(_handler(self))
        threading.Thread(target=self._forwarder.serve_forever, args=(0.1,), daemon=True).start()
        for name in makes:
            self._deploy(name)
        self.machine = self._machine()
        self._outputs()

    def close(self):
        self._forwarder.shutdown()
        self.stack.close()

    def _table(self):
        made = self.dynamodb.create_table(
            TableName=TABLE,
            KeySchema=[{"AttributeName": "user_id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "user_id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        return made["TableDescription"]["LatestStreamArn"]

    def _derive(self):
        """As functions/derive/app.py does it."""
        settings, parallel, once = DeriveSettings.load(self.environment["derive"]), Parallel(), cache(clients)
        branch = of_derive.build(_views(), settings, once, parallel)
        bindings = StreamBindings(once("dynamodb"), settings.tombstone_table, "derive")
        telemetry, pace, own = Telemetry("derive", "shop"), Pace(settings.reconcile_read_units), settings.own_streams
        source, generation = settings.source, settings.generation
        reconcile = of_derive.reconciler(branch, source, generation, pace)
        rebuild = of_derive.rebuilder(branch, reconcile, source, generation, settings.streams, pace, own)
        made = Deployment.of(branch, settings, once, parallel, telemetry, bindings.bind, reconcile, rebuild)
        return lambda event: consume(event, Context(), made)

    def _index(self):
        """As functions/index/app.py does it."""
        settings, parallel = IndexSettings.load(self.environment["index"]), Parallel()
        once = cache(connect.clients)
        branch = of_index.build(INDEXES, settings, once, parallel)
        bound, pace = of_index.bindings(INDEXES, settings, once), Pace(settings.reconcile_read_units)
        reconcile = of_index.reconciler(branch, settings, once, pace)
        made = Deployment.of(branch, settings, once, parallel, Telemetry("index", "shop"), bound.bind, reconcile)
        return lambda event: consume(event, Context(), made)

    def _feed(self):
        feeding = Feeding(FeedSettings.load(self.environment["feed"]), cache(client))

        def answer(event):
            looks = itertools.count()
            return feeding.answer(event, Deadline(self.pages, clock=lambda: next(looks)))

        return answer

    def _deploy(self, name):
        code, service = io.BytesIO(), self.aws.client("lambda")
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("app.py", "")
        url = f"http://127.0.0.1:{self._forwarder.server_port}/{name}"
        service.create_function(
            FunctionName=f"shop-{name}",
            Runtime="python3.13",
            Role=ROLE,
            Handler="app.handler",
            Timeout=900,
            Code={"ZipFile": code.getvalue()},
            Environment={"Variables": {**self.environment[name], PROXY: url}},
        )
        version = service.publish_version(FunctionName=f"shop-{name}")["Version"]
        service.create_alias(FunctionName=f"shop-{name}", Name=ALIAS, FunctionVersion=version)

    def _machine(self):
        text = (ROOT / "statemachines" / "feed.asl.yaml").read_text()
        values = {"Partition": "aws", "Bucket": self.parking, "FeedFunction": f"{_arn_of('feed')}:{ALIAS}"}
        for name, value in values.items():
            text = text.replace(f"${{{name}}}", value)
        definition = json.dumps(yaml.safe_load(text))
        made = self.states.create_state_machine(name="shop-feed", definition=definition, roleArn=ROLE)
        return made["stateMachineArn"]

    def _outputs(self):
        outputs = {"ParkingBucketName": self.parking, "FeedStateMachineArn": self.machine}
        outputs |= {f"{branch.capitalize()}FunctionArn": _arn_of(branch) for branch in BRANCHES}
        document = {
            "Resources": {"Any": {"Type": "AWS::SSM::Parameter", "Properties": {"Type": "String", "Value": "any"}}},
            "Outputs": {name: {"Value": value} for name, value in outputs.items()},
        }
        service = self.aws.client("cloudformation")
        service.create_stack(StackName=STACK, TemplateBody=json.dumps(document))
        service.get_waiter("stack_create_complete").wait(StackName=STACK, WaiterConfig={"Delay": 1})

    def attach(self, name, from_now=False):
        """The stream, delivered to a function from its first record on, or `from_now`."""
        stream = Stream(self.arn, REGION, self.aws.client("dynamodbstreams"))

        def invoke(payload):
            answer, failed = self._answer(name, json.loads(payload))
            return Answer("", answer, "Unhandled" if failed else None)

        (settings,) = self.stack.spec(name, self.arn).mappings
        if from_now:
            settings = replace(settings, starting_position="LATEST")
        mapping = EventSourceMapping(stream, _arn_of(name), invoke, settings, self.aws.client, Hooks(), Backoff())
        mapping.start()
        return mapping

    def invoke(self, name, event):
        """As the emulator's Lambda forwards it."""
        self.invoked.append((name, event))
        if name in self.refusing:
            return {FUNCTION_ERROR: {"errorType": "Unavailable", "errorMessage": "the table is throttled"}}
        answer, failed = self._answer(name, event)
        if self.dead.is_set():
            return {FUNCTION_ERROR: {"errorType": "Runtime.ExitError", "errorMessage": "signal: 9"}}
        return {FUNCTION_ERROR: answer} if failed else answer

    def _answer(self, name, event):
        try:
            return self.functions[name](event), False
        except DistributaryError as error:
            return {"errorType": type(error).__name__, "errorMessage": str(error)}, True

    def fill(self, numbers):
        for at in range(0, len(numbers), 25):
            puts = [{"PutRequest": {"Item": user(n)}} for n in numbers[at : at + 25]]
            self.dynamodb.batch_write_item(RequestItems={TABLE: puts})

    def hold(self, numbers):
        """These users, and none that another test left, neither in the table nor in what the branches keep."""
        own = {user(n)["user_id"]["S"] for n in numbers}
        others = [{"user_id": item["user_id"]} for item in self.items() if item["user_id"]["S"] not in own]
        for key in others:
            self.dynamodb.delete_item(TableName=TABLE, Key=key)
        self.fill(numbers)
        for branch in BRANCHES:
            for at in range(0, len(others), MOST_KEYS):
                asked = [{"key": key} for key in others[at : at + MOST_KEYS]]
                ends, failed = self._answer(branch, {"distributary": {"reconcile": asked}})
                assert not failed, ends
                assert not [end for end in ends["outcomes"] if end["status"] == "Failed"]

    def write(self, stopping, many):
        """Inserts, updates and deletes until it is told to stop, among `many` users and beside them; how often."""
        n = 0
        while not stopping.is_set() and n < max(WRITES, many // 5):
            self.dynamodb.put_item(TableName=TABLE, Item=user(n % many, visits=1000 + n))
            self.dynamodb.put_item(TableName=TABLE, Item=user(many + n))
            self.dynamodb.delete_item(TableName=TABLE, Key={"user_id": {"S": f"u{(7 * n) % many:06}"}})
            n += 1
            time.sleep(0.02)
        return n

    def park(self, numbers, branch="derive"):
        """As if the function had rejected the first change of each of these users, before all that the stream has."""
        records = [{**stream_record(n), "eventSourceARN": self.arn} for n in numbers]
        for n, record in zip(numbers, records, strict=True):
            own = {"Keys": {"user_id": user(n)["user_id"]}, "NewImage": user(n), "SequenceNumber": str(n + 1)}
            record["dynamodb"] = {**record["dynamodb"], **own}
        entries = [(each, parked(Rejected("the cause"))) for each in decode({"Records": records}, 0)]
        assert not any(Parking(self.s3, self.parking, branch, Parallel()).park(entries, FOREVER))

    def parked(self, branch="derive"):
        """The objects, as JSON."""
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.parking, Prefix=f"parked/{branch}/")
        names = [each["Key"] for page in pages for each in page.get("Contents", [])]
        found = []
        for name in names:
            with suppress(self.s3.exceptions.NoSuchKey):  # an invocation whose run was killed still takes some away
                found.append(json.loads(self.s3.get_object(Bucket=self.parking, Key=name)["Body"].read()))
        return found

    def empty(self):
        """Forgets what is parked."""
        pages = self.s3.get_paginator("list_object_versions").paginate(Bucket=self.parking, Prefix="parked/")
        for each in [each for page in pages for each in page.get("Versions", [])]:
            self.s3.delete_object(Bucket=self.parking, Key=each["Key"], VersionId=each["VersionId"])

    def items(self):
        pages = self.dynamodb.get_paginator("scan").paginate(TableName=TABLE, ConsistentRead=True)
        return [item for page in pages for item in page["Items"]]

    def reconciled(self):
        """How many keys the branches were asked for."""
        events = [event for name, event in list(self.invoked) if name in BRANCHES]
        return sum(len(event.get("distributary", {}).get("reconcile", [])) for event in events)


def _views():
    declared = {}
    exec(DECLARED, {"Aggregate": Aggregate, "Entity": Entity, "Projection": Projection}, declared)
    return declared["VIEWS"]


def _arn_of(name):
    return f"arn:aws:lambda:{REGION}:000000000000:function:shop-{name}"


def user(n, visits=1):
    return {
        "user_id": {"S": f"u{n:06}"},
        "name": {"S": f"name {n}"},
        "status": {"S": ("active", "new", "gone")[n % 3]},
        "visits": {"N": str(visits)},
    }


def _handler(fed):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(fed.invoke(self.path[1:], event)).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format, *args):
            pass

    return Handler
