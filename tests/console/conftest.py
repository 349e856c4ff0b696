"""A shop on embedded services, with all functions attached and the console beside them."""

import contextlib
import io
import json
import re
import shutil
import threading
import time
import urllib.error
import urllib.request
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from rich.console import Console

from cli import project as projects
from cli.console.downstream import Declarations
from cli.console.operated import Operated
from cli.console.pages import operated
from cli.console.watching import Watching
from cli.running import declared_by, faults_of
from cli.stack import Stack as CliStack
from cli.status.sections import Look
from cli.target import as_deployed
from local.attach import Order, attach, source_table
from local.aws import Aws
from local.emulators import embedded
from local.function_logs import LogFiles
from local.recording.recorded import recording
from local.reload import Reload
from local.stack import Project
from local.stack import Stack as LocalStack
from tests.console.browser import Missing, axe, chromium
from tests.fakes.monitored import Monitored
from tests.fakes.s3 import Versioned

ROOT = Path(__file__).parents[2]
FUNCTIONS = ("derive", "index", "welcome", "replicate", "archive")
OUTBOX = ROOT / ".build" / "test-console" / "outbox"
SECONDS = 90


class Shop:
    """The table, the functions that are attached to it, and the console's data as its page asks for them."""

    def __init__(self, endpoints, declared):
        self.endpoints, self.declared = endpoints, declared
        self.aws = Aws.at_emulator(endpoints.aws, "us-east-1")
        self.dynamodb = self.aws.client("dynamodb")
        self.screen = Console(file=io.StringIO(), width=200)
        self.stopping = threading.Event()
        self.ended = None

    def create(self):
        names = (("pk", "HASH"), ("sk", "RANGE"))
        self.dynamodb.create_table(
            TableName="shop",
            KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in names],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name, _ in names],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )

    def run(self):
        """`attach --console`, until the shop is stopped."""
        found = projects.find(ROOT, self.declared)
        project = Project(ROOT, ROOT / ".build" / "test-console", self.declared, "console")
        described, spec = source_table(self.aws, "shop")
        parameters = {"OpenSearchEndpoint": self.endpoints.opensearch, "OpenSearchService": "none"}
        order = Order(described, spec, FUNCTIONS, self.aws, None, False, False, False, parameters)
        lock = threading.Lock()
        declared = Declarations(partial(declared_by, found, [described]), lock)
        check = partial(faults_of, lock, found, [described])
        try:
            with recording() as recorded:
                watching = Watching(
                    FUNCTIONS, [described], self.aws, project.outbox, declared, self.screen, recorded, None, True
                )
                attach(order, project, self.screen, check, watching)
        except BaseException as error:
            self.ended = error
            raise

    @property
    def said(self):
        return self.screen.file.getvalue()

    @property
    def link(self):
        """What the command printed, once it is there."""
        self.until(lambda: "console: " in self.said)
        return re.findall(r"console: (\S+)", self.said)[-1]

    def ask(self, path, body=None, **headers):
        """What the console answers; raises HTTPError."""
        address, token = re.fullmatch(r"(http://\S+/)#token=(\S+)", self.link).groups()
        given = {"Authorization": f"Bearer {token}", **headers}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{address}api{path}", data, given)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as answer:
            return json.load(answer)

    def refused(self, path, body=None):
        """Status and reason of a request that is not done."""
        with pytest.raises(urllib.error.HTTPError) as error:
            self.ask(path, body)
        return error.value.code, json.load(error.value)["error"]

    def put(self, pk, sk, **attributes):
        self.dynamodb.put_item(TableName="shop", Item={"pk": {"S": pk}, "sk": {"S": sk}, **attributes})

    def order(self, number, total="5", customer="ada", status="open"):
        total = total if isinstance(total, dict) else {"N": total}
        given = {"customer": {"S": customer}, "number": {"N": str(number)}, "status": {"S": status}}
        self.put(f"CUSTOMER#{customer}", f"ORDER#{number}", total=total, **given)

    def change(self, text, **fates):
        """The newest change whose key contains a text, once its branches say so and have answered."""
        found = []

        def met():
            found[:] = self.ask(f"/changes?key={text}")["changes"]
            told = found[0]["fates"] if found else {}
            return found and all(
                told.get(name, {}).get("outcome") == end and told[name]["deliveries"] for name, end in fates.items()
            )

        self.until(met, lambda: str(found[:1]))
        return found[0]

    def rest(self):
        """Waits until nothing is under way: a fault that is caused then is met by what comes next."""
        self.until(
            lambda: (
                not any(each["outstanding"] for shard in self.ask("/summary")["shards"] for each in shard["readers"])
            )
        )

    def until(self, met, told=lambda: ""):
        by = time.monotonic() + SECONDS
        while not met():
            assert self.ended is None, repr(self.ended)
            assert time.monotonic() < by, (told(), self.said)
            time.sleep(0.1)


@pytest.fixture(scope="session")
def endpoints():
    with embedded(outbox=OUTBOX) as found:
        yield found


@pytest.fixture(scope="session")
def shop(endpoints, tmp_path_factory):
    """Declarations are copies, which a test may change: see `local.reload`."""
    folder = tmp_path_factory.mktemp("declared") / "shop"
    shutil.copytree(Path(__file__).parent / "shop", folder)
    declared = {name: folder / name for name in ("derive", "index", "welcome", "replicate")}
    running, look = Shop(endpoints, declared), Reload.look

    def interrupted(self):
        look(self)
        if running.stopping.is_set():
            raise KeyboardInterrupt

    running.create()
    thread = threading.Thread(target=running.run)
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as end:
        patch.setattr(Reload, "look", interrupted)
        end.callback(thread.join)
        end.callback(running.stopping.set)
        thread.start()
        yield running


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    try:
        path, _ = chromium(), axe()
    except Missing as error:
        pytest.exit(f"the console's tests in a browser cannot run: {error}", returncode=2)
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield running
        running.close()


class AtHome(Operated):
    """Its state is that of a fake stack: what runs on this machine has neither CloudFormation nor CloudWatch."""

    def _look(self):
        seen = Monitored(Versioned("parking"), "parking", *self.functions)
        seen.alarms["shop-DeriveParkedAlarm-1"] = "ALARM"
        now = datetime.now(UTC)
        for name, many in (("Received", 7.0), ("Applied", 6.0), ("Parked", 1.0)):
            seen.measured("derive", name, (now - timedelta(minutes=6), many))
        return Look(CliStack.find("shop", seen.clients), now, ROOT)


@pytest.fixture(scope="session")
def stack_link(shop):
    """The console of a stack: the shop's functions again, as commands see those of a deployed stack."""
    described, _ = source_table(shop.aws, "shop")
    project = Project(ROOT, ROOT / ".build" / "test-console", shop.declared, "console")
    parameters = {"OpenSearchEndpoint": shop.endpoints.opensearch, "OpenSearchService": "none"}
    with LocalStack(project, shop.aws, parameters, LogFiles(project.artifacts / "stack-logs")) as local:
        found = as_deployed(local, [described.stream_arn], shop.aws)
        reach = lambda region: lambda service: shop.aws.client(service, region)  # noqa: E731
        stack = replace(AtHome.of(found, reach, ROOT, True), declared=shop_declarations(shop, described))
        with operated(stack) as link:
            yield link


def shop_declarations(shop, described):
    return Declarations(partial(declared_by, projects.find(ROOT, shop.declared), [described]), threading.Lock())
