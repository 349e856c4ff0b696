"""`console` and `up --console`: a page that lists tables, and attaches functions to one of them."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

import pytest

from cli.console.starting import Starting, starting
from local.aws import Aws
from tests.console.conftest import ROOT


def ask(link, path, body=None):
    address, token = re.fullmatch(r"(http://\S+/)#token=(\S+)", link).groups()
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{address}api{path}", data, {"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def until(met, seconds=120):
    by = time.monotonic() + seconds
    while not (found := met()):
        assert time.monotonic() < by
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def aws(endpoints):
    found = Aws.at_emulator(endpoints.aws, "us-east-1")
    for name, view in (("start-one", "NEW_AND_OLD_IMAGES"), ("start-keys", "KEYS_ONLY"), ("--help", "")):
        stream = {"StreamEnabled": True, "StreamViewType": view} if view else {"StreamEnabled": False}
        found.client("dynamodb").create_table(
            TableName=name,
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification=stream,
        )
    return found


@pytest.fixture
def link(aws, endpoints):
    with starting(
        Starting(ROOT, aws, {"OPENSEARCH_ENDPOINT": endpoints.opensearch}, ("--stack-name", "start"))
    ) as found:
        yield found


def test_tables_are_listed_with_what_keeps_them_from_being_attached(link):
    found = ask(link, "/summary")
    assert found["kind"] == "start"
    by_name = {each["name"]: each["why_not"] for each in found["tables"]}
    assert by_name["start-one"] == ""
    assert "lacks NEW_AND_OLD_IMAGES" in by_name["start-keys"]
    assert "--help has no stream" in by_name["--help"]
    assert found["functions"] == ["derive", "index", "welcome", "replicate", "archive"]


def test_attached_functions_have_a_console_that_sees_their_changes(link, aws):
    assert ask(link, "/attach", {"tables": ["start-one"], "functions": ["archive"]})["state"] == "starting"
    state = until(lambda: (found := ask(link, "/summary")["attach"])["state"] != "starting" and found)
    assert (state["state"], state["tables"], state["functions"]) == ("running", ["start-one"], ["archive"]), state
    aws.client("dynamodb").put_item(TableName="start-one", Item={"id": {"S": "a"}})
    until(lambda: ask(state["link"], "/changes?key=a")["changes"])
    assert "running" in ask(link, "/attach", {"tables": ["start-one"], "functions": ["archive"]})["error"]
    assert ask(link, "/end", {})["state"] == "ended"
    with pytest.raises(urllib.error.URLError):
        ask(state["link"], "/summary")
    assert ask(link, "/attach", {"tables": ["start-one"], "functions": ["archive"]})["state"] == "starting"


def test_attaching_that_fails_says_why_as_the_command_does(link):
    ask(link, "/attach", {"tables": ["--help"], "functions": ["archive"]})
    state = until(lambda: (found := ask(link, "/summary")["attach"])["state"] != "starting" and found)
    assert state["state"] == "ended"
    assert any("--help has no stream" in line for line in state["said"])


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"tables": ["none"], "functions": ["archive"]}, "there is no table 'none'"),
        ({"tables": [], "functions": ["archive"]}, "choose a table"),
        ({"tables": ["start-one"], "functions": []}, "choose a function"),
        ({"tables": ["start-one"], "functions": ["--console-port"]}, "there is no function '--console-port'"),
        ({"tables": "start-one", "functions": "archive"}, "choose a table"),
    ],
)
def test_only_what_is_listed_is_attached(link, asked, why):
    assert ask(link, "/attach", asked)["error"].startswith(why)
    assert ask(link, "/summary")["attach"]["state"] == "none"


def test_of_two_requests_at_once_one_attaches(aws):
    given = {"tables": ["start-one"], "functions": ["archive"]}
    page, ends = Starting(ROOT, aws, {}), []
    start, begun = page._begin, threading.Barrier(2)

    def attach():
        begun.wait(10)
        try:
            ends.append(page.attach(given)["state"])
        except ValueError as error:
            ends.append(str(error))

    threads = [threading.Thread(target=attach) for _ in range(2)]
    page._begin = lambda *asked: (time.sleep(0.3), start(*asked))[1]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    page.end({})
    assert sorted(each[:3] for each in ends) == ["fun", "sta"]


def test_up_with_a_console_prints_the_link_of_a_page_at_its_services():
    command = [sys.executable, "-m", "cli", "--project", str(ROOT), "up", "--console"]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        found = process.stdout.readline()
        assert found.startswith("console: http://127.0.0.1:")
        assert ask(found.split()[1], "/summary")["tables"] == []
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        process.stdout.close()


def test_the_command_serves_the_page_of_services_that_run(endpoints, aws):
    command = [sys.executable, "-m", "cli", "console", "--endpoint-url", endpoints.aws]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, **aws.environment()}
    )
    try:
        found = process.stdout.readline()
        assert "start-one" in [each["name"] for each in ask(found.split()[1], "/summary")["tables"]]
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
        process.stdout.close()
