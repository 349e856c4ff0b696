"""Regions that an application writes to: each a table with its stream, and what the rule says must be there."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from random import Random
from typing import Any

from distributary.consumer.reconcile import Reconcile
from distributary.replicate.declarations import last_writer
from distributary.replicate.multi_active.lww import Stamps
from distributary.stream import version as versions
from distributary.stream.change import REPLICA_VERSION
from tests.fakes.items import copied
from tests.fakes.streaming import CREATED, Record, Streaming, arn_of, streams

NAMES = ("us-east-1", "eu-west-1", "ap-south-1")
RECORDS = 1000
"""More than any schedule makes, unless what one function writes makes another one write."""

Image = dict[str, Any]


class Regions(Streaming):
    """A table and its tombstones in each region. `writes` counts what the replicators changed; `clock` is the stream's
    time, in seconds since `CREATED`."""

    def __init__(self, regions: tuple[str, ...], random: Random) -> None:
        schemas = {f"{kind}@{region}": {"id": "S"} for region in regions for kind in ("items", "tombstones")}
        arns = {f"items@{region}": arn_of("items", region) for region in regions}
        super().__init__(schemas, streams(arns, random))
        self.page_items = 1000
        self.clock = 0
        self.now = lambda: CREATED + self.clock
        self.writes = 0
        self.application = False

    def records_of(self, region: str) -> Sequence[Record]:
        """Of the region's table."""
        return self.records(f"items@{region}")

    def _changed(self, table: str, keys: Any, old: Any, new: Any) -> None:
        self.writes += not self.application
        super()._changed(table, keys, old, new)
        made = sum(len(stream.records) for stream in self.streams.values())
        assert made <= RECORDS, "the functions write in a circle"

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
        name, position = body["Keys"]["id"]["S"], Decimal(body["SequenceNumber"])
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


def edit(client: Any, tables: Regions, region: str, name: str, random: Random, skew: int) -> None:
    """One thing that an application does to an item in its region: put, update, put what it read earlier, delete."""
    table, place = f"items@{region}", (name,)
    stood = copied(tables.state[table].get(place))
    value = {"S": f"{region}-{len(tables.records_of(region))}-{random.randrange(10**9)}"}
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
