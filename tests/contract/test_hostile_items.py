"""Hostile items go through every branch: nothing breaks out of its place, nothing blocks, each ends as documented."""

import copy
import html
import json
import re
from decimal import Decimal
from typing import ClassVar

import pytest

from distributary.consumer.consume import Deployment
from distributary.consumer.parking import Parking
from distributary.consumer.streams import Streams
from distributary.consumer.telemetry import Telemetry
from distributary.derive import Aggregate, Projection
from distributary.index import Entity, Field, Index
from distributary.index.factory import build as build_index
from distributary.index.opensearch.schema import apply
from distributary.stream.codec import decode_item
from distributary.stream.keys import Template, bounded
from distributary.welcome import Content, Rule
from distributary.welcome.channels import EventBridge, Ses, Sms, Topic
from distributary.welcome.factory import build as build_welcome
from tests.contract import world as worlds
from tests.contract.derive import DeriveHarness, assembled
from tests.contract.harness import deploy
from tests.contract.hostile import BRANCHES, CHANNELS, HOSTILE, ITEMS, attributes, deep
from tests.contract.index import at_once
from tests.contract.lambda_service import invoke
from tests.contract.regions import MergedHarness, MultiActiveHarness
from tests.contract.replicate import ReplicateHarness
from tests.contract.source import Source
from tests.contract.welcome import Unhurried
from tests.replaced import replace
from tests.unit.index_settings import clients, settings
from tests.unit.mail import SETTINGS

ORDINARY = range(len(ITEMS), len(ITEMS) + 3)
MOST_CHARACTERS = 64
KEYS = ("pk", "sk")


class Recorded:
    """A client, with every request that it was sent."""

    def __init__(self, client):
        self.client, self.requests = client, []

    def __getattr__(self, operation):
        def call(**arguments):
            self.requests.append(arguments)
            return getattr(self.client, operation)(**arguments)

        return call


class Harnessed:
    """A branch of the contract, which knows what is right downstream."""

    def __init__(self, world, harness):
        self.world, self.harness, self.name = world, harness, harness.name
        self.asked = Recorded(world.dynamodb)
        self.deployment = deploy(harness, world, lambda client, _: self.asked if client is world.dynamodb else client)

    def check(self, source, parked):
        left = copy.copy(source)
        left.items = taken(source, parked)
        self.harness.check(self.world, left, excused=[user for user in parked if "key" not in ITEMS[user].what])
        check_queries(self.asked)

    def check_empty(self, source):
        self.harness.check(self.world, source)


def taken(source, parked):
    return {user: item for user, item in source.items.items() if user not in parked}


def check_queries(client):
    """No expression and no name of a table or index holds anything of an item."""
    queries = json.dumps(
        [
            value
            for request in client.requests
            for each in (request, *(next(iter(action.values())) for action in request.get("TransactItems", ())))
            for name, value in each.items()
            if name.endswith("Expression") or name in ("ExpressionAttributeNames", "TableName", "IndexName")
        ]
    )
    assert "sentinel" not in queries


class Ledgered:
    """Views on the ledger, with what the user wrote in their keys."""

    name = "derive"
    NAMES, TAGS = ("NAME#{name}", "{pk}/{sk}"), ("TAG#{tags}", "{pk}/{sk}")
    UNCOUNTED = frozenset(
        {
            "half a character in the name",
            "half a character in the key",
            "39 digits",
            "a map for a name",
            "2,000 characters in the name",
        }
    )
    """The total cannot hold these names and balances, and no item this key. The other items that are parked are parked
    by another view."""

    def __init__(self, world):
        self.world, self.asked = world, Recorded(world.dynamodb)
        person = Entity(name="person", keys=KEYS, attributes=("name", "balance", "tags", "nested", "status"))
        views = [
            Projection(name="by-name", of=person, pk=self.NAMES[0], sk=self.NAMES[1], keep=("balance", "nested")),
            Projection(name="by-tag", of=person, pk="TAG#{each}", sk=self.TAGS[1], each="tags"),
            Aggregate(
                name="totals",
                of=person,
                pk="TOTALS",
                sk="{status}",
                count="people",
                max={"richest": "balance"},
                distinct={"names": "name"},
            ),
        ]
        self.deployment = deployed(world, self.name, assembled(world, lambda *_: self.asked, views))

    def check(self, source, parked):
        """Each key is read back as the item that made it."""
        rows = {(row["pk"]["S"], row["sk"]["S"]): row for row in self.world.rows("derived")}
        right = {json.dumps([item["pk"], item["sk"], item["name"]]) for item in taken(source, parked).values()}
        assert {json.dumps(self.read(key, self.NAMES)) for key in rows if key[0].startswith("NAME#")} == right
        tagged = [self.read(key, self.TAGS) for key in rows if key[0].startswith("TAG#")]
        (item,) = [each for each in source.items.values() if "tags" in each]
        assert sorted(tag["S"] for _, _, tag in tagged) == sorted(item["tags"]["SS"])
        assert all((pk, sk) == (item["pk"], item["sk"]) for pk, sk, _ in tagged)
        self.check_totals(source, rows["TOTALS", "active"])
        check_queries(self.asked)

    def check_empty(self, source):
        assert [row for row in self.world.rows("derived") if not row["pk"]["S"].startswith("%")] == []

    def check_totals(self, source, row):
        people = [item for user, item in source.items.items() if not set(names([user])) & self.UNCOUNTED]
        assert int(row["people"]["N"]) == len(people)
        assert int(row["names"]["N"]) == len({item["name"]["S"] for item in people})
        assert Decimal(row["richest"]["N"]) == Decimal("2.7182818284590452309E+125")

    def read(self, key, templates):
        found = {}
        for text, template in zip(key, templates, strict=True):
            found.update(Template.parse(template).read(text))
        return [found["pk"], found["sk"], found.get("name") or found.get("tags")]


class Documents:
    """An index with every kind of field that takes what it is given."""

    name = "index"
    FIELDS: ClassVar[dict] = {
        "email": {"type": "keyword"},
        "name": {"type": "text"},
        "balance": {"type": "keyword"},
        "tags": {"type": "keyword"},
        "more": {"type": "object", "dynamic": True},
        "details": Field(mapping={"type": "flat_object"}, of="specs", json=True),
    }

    def __init__(self, world):
        self.world = world
        person = Entity(name="person", keys=KEYS, attributes=("email", "name", "balance", "tags", "more", "specs"))
        self.index = Index(name=world.name("people"), of=person, id="{pk}/{sk}", fields=self.FIELDS)
        apply(world.opensearch, self.index, 0)
        branch = build_index([self.index], settings(), clients(world.opensearch), world.parallel, world.now, at_once)
        self.deployment = deployed(world, self.name, branch)

    def check(self, source, parked):
        self.world.opensearch.indices.refresh(index=self.index.physical(0))
        hits = self.world.opensearch.search(index=self.index.name, body={"size": 1000})["hits"]["hits"]
        found = {hit["_id"]: hit["_source"] for hit in hits}
        right = taken(source, parked)
        ids = {self.id_of(source, user): user for user in right}
        assert found.keys() == ids.keys()
        for id, user in ids.items():
            assert found[id]["email"] == right[user]["email"]["S"]
            if "S" in right[user]["name"]:
                assert found[id]["name"] == right[user]["name"]["S"]

    def check_empty(self, source):
        self.check(source, ())

    def id_of(self, source, user):
        return bounded(Template.parse("{pk}/{sk}").render(decode_item(source.table.key(user)), 10_000), 512)


class Office:
    """SNS and EventBridge."""

    def __init__(self):
        self.published, self.events = [], []

    def publish(self, **request):
        self.published.append(request)
        return {"MessageId": "m"}

    def put_events(self, Entries):
        self.events += Entries
        return {"Entries": [{"EventId": "e"} for _ in Entries]}


class Messages:
    """One channel of welcome."""

    name = "welcome"
    CHANNELS: ClassVar[dict] = {"mail": Ses, "sms": Sms, "topic": Topic, "event": EventBridge}
    CONTENT = Content("Welcome, {{name}}", "Hello {{name}}!", '<p title="{{name}}">Hello {{name}}!</p>')

    def __init__(self, world, way):
        self.world, self.way, self.office = world, way, Office()
        person = Entity(name="person", keys=KEYS, attributes=("email", "name", "phone"))
        to = {"mail": "email", "sms": "phone"}.get(way)
        rule = Rule(name="welcome", of=person, to=to, content={"en": self.CONTENT}, channel=self.CHANNELS[way])
        given = replace(
            SETTINGS,
            claim_table=world.name("claims"),
            topic_arn="arn:aws:sns:eu-west-1:123456789012:news",
            sms_calling_codes=("+44", "+8"),
            event_bus="default",
        )
        clients = {"dynamodb": world.dynamodb, "sesv2": world.ses, "sns": self.office, "events": self.office}
        branch = build_welcome(
            [rule], given, lambda service, **_: clients[service], world.parallel, world.now, Unhurried()
        )
        self.deployment = deployed(world, self.name, branch)

    def check(self, source, parked):
        told = [user for user in source.items if user not in parked]
        texts = [self.shown(source.items[user]["name"]["S"]) for user in told]
        getattr(self, f"check_{self.way}")([source.items[user] for user in told], texts)

    def shown(self, name):
        return re.sub(r"[\x00-\x1f\x7f-\x9f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]", " ", name)[
            :MOST_CHARACTERS
        ]

    def check_mail(self, items, texts):
        assert [to for to, _, _ in self.world.ses.state] == [item["email"]["S"] for item in items]
        for request, text in zip(self.world.ses.requests, texts, strict=True):
            simple = request["Content"]["Simple"]
            assert simple["Subject"]["Data"] == f"Welcome, {text}"
            assert simple["Body"]["Text"]["Data"] == f"Hello {text}!"
            page = simple["Body"]["Html"]["Data"]
            assert page == f'<p title="{html.escape(text)}">Hello {html.escape(text)}!</p>'
            assert re.findall(r"<[^>]*", page)[1:] == ["</p"], "one element, whatever the name holds"

    def check_sms(self, items, texts):
        assert [each["PhoneNumber"] for each in self.office.published] == [item["phone"]["S"] for item in items]
        assert [each["Message"] for each in self.office.published] == [f"Hello {text}!" for text in texts]

    def check_topic(self, items, texts):
        assert [each["Message"] for each in self.office.published] == [f"Hello {text}!" for text in texts]
        assert all(re.fullmatch(r"[ -~]{1,100}", each["Subject"]) for each in self.office.published)

    def check_event(self, items, texts):
        details = [json.loads(each["Detail"]) for each in self.office.events]
        assert [each["values"] for each in details] == [{"name": text} for text in texts]
        assert {each["rule"] for each in details} == {"welcome"}


def deployed(world, name, branch):
    parking = Parking(world.s3, world.name("parking"), name, world.parallel)
    return Deployment(branch, parking, Telemetry(name), Streams(0))


def set_up(branch, world):
    if branch in CHANNELS:
        return Messages(world, branch)
    if branch == "ledger":
        return Ledgered(world)
    if branch == "index":
        return Documents(world)
    harnesses = {
        "derive": DeriveHarness,
        "mirror": ReplicateHarness,
        "multi-active": MultiActiveHarness,
        "merged": MergedHarness,
    }
    return Harnessed(world, harnesses[branch]())


def users():
    """Hostile ones, with ordinary ones before, among and behind them."""
    first, middle, last = ORDINARY
    half = len(ITEMS) // 2
    return [first, *range(half), middle, *range(half, len(ITEMS)), last]


def filled():
    source = Source(HOSTILE)
    for user in users():
        source.put(user, **attributes(user))
        if user < len(ITEMS) and ITEMS[user].what == "2,000 levels":
            source.records[-1]["dynamodb"]["NewImage"]["nested"] = deep(2000)
    return source


def parked_users(world, name, source):
    return {source.user_of({"dynamodb": {"Keys": each["key"]}}) for each in world.parked(name)}


def names(found):
    return sorted(ITEMS[user].what if user < len(ITEMS) else "ordinary" for user in found)


def to_park(branch):
    return {user for user, item in enumerate(ITEMS) if branch in item.parked}


def test_there_are_thirty_and_more():
    assert len(ITEMS) >= 30
    assert len({json.dumps(HOSTILE.key(user)) for user in users()}) == len(users())


@pytest.mark.parametrize("branch", BRANCHES)
def test_a_batch_of_hostile_items_blocks_nothing_and_ends_as_documented(branch):
    goes_through(branch, filled(), worlds.in_memory(HOSTILE))


@pytest.mark.parametrize("branch", [each for each in BRANCHES if each not in CHANNELS])
def test_emulated_services_take_hostile_items_as_the_fakes_do(branch, emulators):
    goes_through(branch, filled(), worlds.emulated(HOSTILE, emulators))


def goes_through(branch, source, world):
    there = set_up(branch, world)
    assert invoke(there.deployment, source.records) is None
    found = parked_users(world, there.name, source)
    assert names(found) == names(to_park(branch))
    there.check(source, found)


@pytest.mark.parametrize("branch", BRANCHES)
def test_each_hostile_item_alone_ends_the_same_and_again_the_same(branch):
    source, world = filled(), worlds.in_memory(HOSTILE)
    there = set_up(branch, world)
    for _ in range(2):
        for record in source.records:
            assert invoke(there.deployment, [record]) is None
    found = parked_users(world, there.name, source)
    assert names(found) == names(to_park(branch))
    there.check(source, found)


@pytest.mark.parametrize("branch", [each for each in BRANCHES if each not in CHANNELS])
def test_hostile_items_that_are_deleted_leave_nothing_behind(branch):
    source, world = filled(), worlds.in_memory(HOSTILE)
    there = set_up(branch, world)
    for user in users():
        source.delete(user)
    half = len(users())
    for batch in (source.records[:half], source.records[half:]):
        assert invoke(there.deployment, batch) is None
    assert names(parked_users(world, there.name, source)) == names(to_park(branch))
    there.check_empty(source)
