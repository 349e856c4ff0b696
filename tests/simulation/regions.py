"""Regions that an application writes to: each a table with its stream, and what the rule says must be there."""

from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

from distributary.consumer.reconcile import Reconcile
from distributary.replicate.declarations import last_writer
from distributary.replicate.multi_active.lww import Stamps
from distributary.stream import version as versions
from distributary.stream.change import REPLICA_VERSION
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.items import copied

NAMES = ("us-east-1", "eu-west-1", "ap-south-1")
CREATED = 1_795_341_600
RECORDS = 1000
"""More than any schedule makes, unless what one function writes makes another one write."""

Image = dict[str, Any]
Record = dict[str, Any]


class Streaming(DynamoDB):
    """Tables whose every change leaves a record: `records` by region, `writes` counts those of the replicators. Each
    region's stream numbers its records by itself; the first region's numbers are the greatest."""

    def __init__(self, regions: tuple[str, ...], random: Random) -> None:
        super().__init__({f"{kind}@{region}": {"id": "S"} for region in regions for kind in ("items", "tombstones")})
        self._random = random
        self.records: dict[str, list[Record]] = {region: [] for region in regions}
        self.clock = 0
        self.writes = 0
        self.application = False
        self._positions = {region: 10 ** (20 + at) for at, region in enumerate(reversed(regions))}

    def scan(self, *, TableName: str, ReturnConsumedCapacity: str = "NONE", **more: Any) -> dict[str, Any]:
        """See `DynamoDB.scan`."""
        return super().scan(TableName=TableName, **more)

    def _write(self, operation: str, arguments: Any, key: Any, new: Any) -> dict[str, Any]:
        table = arguments["TableName"]
        before = dict(self.state[table])
        answer = super()._write(operation, arguments, key, new)
        kind, region = table.split("@")
        for place in {*before, *self.state[table]}:
            old, now = before.get(place), self.state[table].get(place)
            if old != now:
                self.writes += not self.application
                if kind == "items":
                    self._note(region, place[0], old, now)
        return answer

    def _note(self, region: str, name: str, old: Image | None, new: Image | None) -> None:
        position = self._positions[region] = self._positions[region] + self._random.randint(1, 10**18)
        assert sum(map(len, self.records.values())) < RECORDS, "the functions write in a circle"
        body: Record = {"ApproximateCreationDateTime": CREATED + self.clock, "Keys": {"id": {"S": name}}}
        body |= {"SequenceNumber": str(position), "SizeBytes": 1}
        body |= {"NewImage": copied(new)} if new else {}
        body |= {"OldImage": copied(old)} if old else {}
        self.records[region].append(
            {
                "eventID": f"{region}-{position}",
                "eventName": "REMOVE" if new is None else "MODIFY" if old else "INSERT",
                "eventSource": "aws:dynamodb",
                "eventSourceARN": f"arn:aws:dynamodb:{region}:123456789012:table/items/stream/1",
                "dynamodb": body,
            }
        )

    def items(self, region: str) -> dict[str, Image]:
        """What a reader sees."""
        rows = self.state[f"items@{region}"].values()
        return {r["id"]["S"]: {k: v for k, v in r.items() if k != REPLICA_VERSION} for r in rows}


@dataclass(frozen=True)
class Entry:
    """One edit of the application: plain tuples to compare by, and what stood there after it. What replaced an edit of
    its own region that told no time yet counts for at least `least`, and at most `order`: whether it knew the other's
    time, nobody can say if another region's had overtaken it. `value` names what was made, `old` what it replaced."""

    order: tuple
    content: Image | None
    least: tuple
    old: str = ""

    @property
    def value(self) -> str:
        return self.content["value"]["S"] if self.content else ""


_READING = Stamps(last_writer(), NAMES, REPLICA_VERSION)
_INSTANT = Decimal("0.000001")


class Histories:
    """All that the application ever did to each item; the greatest is what every region must hold. A region's records
    are noted in their order, whatever the order of regions."""

    def __init__(self, regions: tuple[str, ...], by: str, deletes: str) -> None:
        self._ranks = {region: -at for at, region in enumerate(regions)}
        self._by, self._deletes = by, deletes
        self._entries: dict[str, list[Entry]] = {}
        self._orders: dict[str, tuple] = {}
        self._latest: dict[tuple[str, str], Decimal] = {}
        self.edits = 0
        self.deletions = 0

    def note(self, region: str, record: Record) -> None:
        """The application did what the record tells."""
        body = record["dynamodb"]
        name, position = body["Keys"]["id"]["S"], int(body["SequenceNumber"])
        entries = self._entries.setdefault(name, [])
        old = body["OldImage"]["value"]["S"] if "OldImage" in body else ""
        most, least = self._seconds(region, body) if self._by == "second" else (None, None)
        if "NewImage" in body:
            content = {k: v for k, v in body["NewImage"].items() if k != REPLICA_VERSION}
            time = most if self._by == "second" else Decimal(content[self._by]["N"])
            order = (time, self._ranks[region], position, 0)
            self._orders[content["value"]["S"]] = order
            self.edits += 1
            entries.append(Entry(order, content, order if least is None else (least, *order[1:]), old))
            return
        self.deletions += 1
        if self._by == "second":
            order = (most, self._ranks[region], position, 1)
            entries.append(Entry(order, None, (least, *order[1:]), old))
            return
        order = (*self._orders[old][:3], 1)
        end = Decimal(body["ApproximateCreationDateTime"] + 1)
        if self._deletes == "win" and end > order[0]:
            order = (end, order[1], 0, 1)
        entries.append(Entry(order, None, order, old))

    def _seconds(self, region: str, body: Any) -> tuple[Decimal, Decimal]:
        """The record's second, or right after what it replaced, if that is of no earlier one: at most and at least."""
        now = Decimal(body["ApproximateCreationDateTime"])
        old = body.get("OldImage") and _READING.row(body["OldImage"], region)
        place = region, body["Keys"]["id"]["S"]
        latest = self._latest.get(place, now - 1)
        if old and old.stamped and old.time.kind == 1:
            most = least = old.time.value + _INSTANT if old.time.value >= now else now
        else:
            most, least = (latest + _INSTANT if latest >= now else now), now
        self._latest[place] = max(latest, most)
        return most, least

    def right(self, in_order: bool = True) -> dict[str, tuple[Image | None, ...]]:
        """What may stand in each region, the same in all; None for no item. It is one thing, but where a deletion that
        wins over its whole second was of an item that another deletion covers as well: that it is news, is not said; or
        where an edit of the same second may have overtaken what it did not know. `in_order`: no stream was shuffled;
        then what the application replaced or deleted itself never stands."""
        return {name: self._right(entries, in_order) for name, entries in self._entries.items()}

    def _right(self, entries: list[Entry], in_order: bool) -> tuple[Image | None, ...]:
        gone = {entry.old for entry in entries if in_order and self._by == "second"} - {""}
        found = [*_greatest(entries), *_greatest(self._news(entries))]
        return tuple(each.content for each in found if each.value not in gone)

    def _news(self, entries: list[Entry]) -> list[Entry]:
        deletions = [entry for entry in entries if entry.content is None]
        return [
            entry
            for entry in entries
            if entry.content is not None
            or not any(self._orders[entry.old] < other.order < entry.order for other in deletions)
        ]


def _greatest(entries: list[Entry]) -> list[Entry]:
    """Those than which no other is greater for certain."""
    floor = max(entry.least for entry in entries)
    return [entry for entry in entries if entry.order >= floor]


def request(record: Record) -> Reconcile:
    """What a redrive asks for, of an item in several regions."""
    body = record["dynamodb"]
    version = versions.of(0, int(body["SequenceNumber"]))
    return Reconcile(body["Keys"], version, record["eventName"] == "REMOVE", record=record)


def edit(client: Any, tables: Streaming, region: str, name: str, random: Random, skew: int) -> None:
    """One thing that an application does to an item in its region: put, update, put what it read earlier, delete."""
    table, place = f"items@{region}", (name,)
    stood = copied(tables.state[table].get(place))
    value = {"S": f"{region}-{len(tables.records[region])}-{random.randrange(10**9)}"}
    stamps = {"at": {"N": str(CREATED + tables.clock // 3 + skew)}, "priority": {"N": str(random.randrange(3))}}
    fresh = {"id": {"S": name}, "value": value, **stamps}
    chosen = random.random()
    mine = {"TableName": table}
    if chosen < 0.25 and stood:
        client.delete_item(**mine, Key={"id": {"S": name}})
    elif chosen < 0.5:
        client.update_item(
            **mine,
            Key={"id": {"S": name}},
            UpdateExpression="SET #v = :v, #a = :a, #p = :p",
            ExpressionAttributeNames={"#v": "value", "#a": "at", "#p": "priority"},
            ExpressionAttributeValues={":v": value, ":a": stamps["at"], ":p": stamps["priority"]},
        )
    elif chosen < 0.75 and stood:
        client.put_item(**mine, Item={**stood, **fresh})
    else:
        client.put_item(**mine, Item=fresh | ({"more": {"S": "x"}} if random.random() < 0.3 else {}))
