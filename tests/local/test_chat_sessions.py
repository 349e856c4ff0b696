"""examples/chat_sessions: its writer keeps its invariant with two callers, and all that is downstream is right."""

import importlib.util
import itertools
import json
from collections import Counter
from contextlib import nullcontext
from pathlib import Path

import pytest

from distributary.stream.dynamodb_stream import decode
from distributary.welcome import check
from examples.chat_sessions.workload import Clock
from examples.chat_sessions.writer import TABLE, ChatError, ChatSessions
from local import examples
from local.downstream import Downstream
from tests.local.conftest import run_example

ROOT = Path(__file__).parents[2]
HERE = ROOT / "examples/chat_sessions"
OPERATIONS = ("create", "renew", "close", "update")
PAIRS = list(itertools.product(OPERATIONS, OPERATIONS, (True, False)))
_users = itertools.count()


class Interrupted:
    """The table's client, which lets another caller do something before one of its own calls."""

    def __init__(self, client, at, other):
        self.client, self.at, self.other, self.calls = client, at, other, 0
        self.exceptions = client.exceptions

    def __getattr__(self, name):
        def call(**request):
            self.calls += 1
            if self.calls == self.at:
                self.other()
            return getattr(self.client, name)(**request)

        return call


class Caller:
    """Does one operation for a user's chat with `ada`, and remembers what was confirmed."""

    def __init__(self, client, user, clock, version):
        self.chats, self.user, self.version = sessions(client, clock), user, version
        self.begun, self.closed, self.updated, self.refused = [], [], {}, 0

    def does(self, operation, chat_id=None):
        try:
            match operation:
                case "create":
                    self.begun.append(self.chats.create_chat(self.user, "ada", self.version).chat_id)
                case "renew":
                    self.begun.append(self.chats.renew_chat(self.user, "ada", self.version).chat_id)
                case "close":
                    self.closed.append(self.chats.delete_chat(self.user, "ada").chat_id)
                case "update":
                    self.chats.update_ai_version_by_chat_id(chat_id, self.version)
                    self.updated[chat_id] = self.version
        except ChatError:
            self.refused += 1


RACED = "chat_session_raced"


def sessions(client, clock):
    return ChatSessions(client, clock, RACED)


@pytest.fixture(scope="module")
def client(aws):
    found = aws.client("dynamodb")
    found.create_table(**{**TABLE, "TableName": RACED})
    return found


def records_of(client, user):
    asked = {"KeyConditionExpression": "PK = :user", "ExpressionAttributeValues": {":user": {"S": user}}}
    items = client.query(TableName=RACED, ConsistentRead=True, **asked)["Items"]
    return [{name: value["S"] for name, value in item.items()} for item in items]


@pytest.mark.parametrize(("first", "second", "active"), PAIRS)
def test_two_callers_at_once_lose_no_session_and_double_none(client, first, second, active):
    """The second acts before each call of the first, in turn; every pair is tried in both roles."""
    clock, at, calls = Clock(), 0, 1
    while at < calls:
        at += 1
        user = f"racer-{next(_users)}"
        start, other = (
            Caller(client, user, clock, "v0"),
            Caller(client, user, clock, "v0" if second == "renew" else "v2"),
        )
        start.does("create")
        known = start.begun[0]
        if not active:
            start.does("close")
        interrupted = Interrupted(client, at, lambda other=other, known=known: other.does(second, known))
        one = Caller(interrupted, user, clock, "v1")
        one.does(first, known)
        calls = interrupted.calls
        records = records_of(client, user)
        holds(records, (start, one, other))
        if at > 1 and other.begun and first in ("close", "renew"):
            standing = {each["chat_id"] for each in records if each["SK"].startswith("#ACTIVE#")}
            assert standing == set(other.begun), "what the second began was ended by the first, which had not seen it"


def holds(records, callers):
    begun = [chat for caller in callers for chat in caller.begun]
    assert sorted(each["chat_id"] for each in records) == sorted(begun), "each session has one record"
    assert all(each["GSI1PK"] == each["chat_id"] for each in records)
    closed = sorted(each["chat_id"] for each in records if "delete_time" in each)
    assert closed == sorted(chat for caller in callers for chat in caller.closed)
    active = [each for each in records if each["SK"].startswith("#ACTIVE#")]
    assert len(active) <= 1
    assert bool(active) == (len(begun) > len([each for each in records if "#OLD#" in each["SK"]]))
    version = {each["chat_id"]: each["ai_version"] for each in records}
    for chat in {chat for caller in callers for chat in caller.updated}:
        assert version[chat] in {caller.updated.get(chat) for caller in callers}, "a confirmed update is lost"


def test_a_second_active_session_is_refused_with_a_clear_error(client):
    chats = sessions(client, Clock())
    chat = chats.create_chat("ada-fan", "ada", "v1")
    with pytest.raises(ChatError, match="ada-fan already has an active chat with ada: close or renew it"):
        chats.create_chat("ada-fan", "ada", "v2")
    assert chats.get_chat_by_user_and_ai("ada-fan", "ada") == chat


def test_a_users_history_comes_newest_first_page_by_page(client):
    chats, begun = sessions(client, Clock()), []
    begun.append(chats.create_chat("reader", "ada", "v1").chat_id)
    begun += [chats.renew_chat("reader", "ada", "v1").chat_id for _ in range(6)]
    chats.create_chat("reader", "bela", "v1"), chats.delete_chat("reader", "bela")
    pages, start = [], None
    while not pages or start:
        page = chats.history("reader", "ada", limit=4, start=start)
        pages.append([chat.chat_id for chat in page.chats])
        start = page.next
    assert list(itertools.chain(*pages)) == begun[-2::-1]
    assert len(pages[0]) == 4


def rules():
    spec = importlib.util.spec_from_file_location("chat_rules", HERE / "welcome/rules.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return check(module.RULES)


@pytest.mark.parametrize(("event", "expected"), [("closing", "chat-closed"), ("renewing", "chat-renewed")])
def test_two_records_are_one_event_in_either_order(event, expected):
    records = json.loads((HERE / f"events/{event}.json").read_text())["Records"]
    assert len(records) == 2
    for ordered in itertools.permutations(records):
        changes = [decode(record, lambda _: 0) for record in ordered]
        found = [(rule, rule.on.item(change)) for change in changes for rule in rules()]
        assert [rule.name for rule, item in found if item is not None and rule.wants(item)] == [expected]


@pytest.fixture(scope="module")
def result(endpoints):
    return run_example(examples.named("chat_sessions"), endpoints, 200)[0]


def test_all_that_is_downstream_of_the_chats_is_what_the_table_says(result):
    assert result.wrong == []
    kinds = Counter(name.split("#")[0].split(" ")[0] for name in (*result.made.rows, *result.made.messages))
    assert set(kinds) == {"CHARACTER", "USER", "FIRST-SESSION", "chat-closed", "chat-renewed", "greeting"}
    assert {document["state"] for document in result.made.documents.values()} == {"active", "closed", "renewed"}


def test_a_difference_of_any_kind_is_named(result):
    """Of what was made, one thing is taken away, one is changed, and one is there besides."""
    made = result.made
    for what in ("rows", "documents", "messages"):
        things = getattr(made, what)
        gone, changed, *_ = things
        wrong = {**things, changed: {**things[changed], "more": "1"}, "besides": {}}
        del wrong[gone]
        parts = {each: getattr(made, each) for each in ("rows", "documents", "messages")}
        named = [line.split(": should")[0] for line in made.differences(Downstream(**{**parts, what: wrong}))]
        assert named == [f"{what}: {name}" for name in sorted((gone, changed, "besides"))]


def test_an_unknown_example_is_refused_with_the_names_that_exist(capsys):
    assert examples.main(["chats"]) == 2
    names = ", ".join(sorted(each.parent.name for each in HERE.parent.glob("*/example.py")))
    said = f"there is no example 'chats': make example NAME=..., with one of {names}\n"
    assert "chat_sessions" in names
    assert capsys.readouterr().err == said


@pytest.mark.parametrize(("wrong", "status"), [([], 0), (["rows: a: should be None, is {}"], 1)])
def test_make_example_ends_with_status_1_for_a_difference(monkeypatch, capsys, result, wrong, status):
    monkeypatch.setattr(examples, "embedded", nullcontext)
    monkeypatch.setattr(examples, "run", lambda *_: examples.Result(result.made, wrong))
    assert examples.main(["chat_sessions"]) == status
    assert capsys.readouterr().out.splitlines()[-1] == f"{len(wrong)} differences"
