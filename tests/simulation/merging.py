"""One schedule of multi-active where items are merged, and what the rule says, told plainly: all that the applications
wrote, sorted, and the last of each part."""

import json
from collections.abc import Sequence
from decimal import Decimal
from random import Random
from typing import Any, NamedTuple

from distributary.replicate import MultiActive, by_attribute, custom
from distributary.replicate.multi_active.merge_rules import Merge
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.codec import decode, encode
from tests.fakes.streaming import CREATED, Record
from tests.simulation.mesh import Mesh
from tests.simulation.regions import Image

REST = ("id", REPLICA_VERSION)
INSTANT = Decimal("0.000001")


def best(a: Any, b: Any) -> Any:
    """Of each attribute the greater value."""
    return {name: max((each[name] for each in (a, b) if name in each), key=repr) for name in {*a, *b}}


SAMPLES = [{"at": Decimal(1), "a": Decimal(1)}, {"at": Decimal(2), "b": Decimal(3)}, {"a": Decimal(2)}]


class Write(NamedTuple):
    """Of an application: its place among all writes, and what it changed and left. `late`: if they are delivered
    in order, a write comes after what its own region wrote before it, and deleted before it unless deletes win; and a
    delete after the own write that it takes away, by the stream's second after all that its own region wrote before
    it."""

    place: tuple
    late: tuple
    region: str
    parts: dict[Any, Any]
    whole: dict[Any, Any] | None


class Agreement:
    """All writes of all applications, by item. Each part's newest write says which region's item tells it: in one
    second a region may write twice, and then its later image is right whatever the order of their times."""

    def __init__(self, declared: MultiActive, by: str, deletes: str) -> None:
        self._declared, self._by, self._deletes = declared, by, deletes
        self._writes: dict[str, list[Write]] = {}
        self._own: dict[tuple[str, str], list[Image]] = {}
        self.edits = 0
        self.deletions = 0

    def note(self, region: str, record: Record) -> None:
        """The application did what the record tells. A delete of what a replicator has marked as gone is none."""
        body = record["dynamodb"]
        name, old, new = body["Keys"]["id"]["S"], body.get("OldImage"), body.get("NewImage")
        mark = self._mark(region, name, old)
        self._own.setdefault((region, name), []).append(new)
        if new is None and mark is not None and mark[3]:
            return
        if new is None:
            self.deletions += 1
        else:
            self.edits += 1
        was, now = parts_of(old or {}), parts_of(new or {})
        parts = {part: now.get(part) for part in {*was, *now} if was.get(part) != now.get(part)}
        place = late = self._place(region, body, mark and [*mark[:2], self._seen(name, old, mark), mark[3]])
        if self._by == "second" or new is not None:
            mine = [w for w in self._since(region, name) if w.place[1] == self._rank(region)]
            covered = new is not None and self._deletes == "lose"
            own = [w.late[0] for w in mine if w.whole is not None or covered]
            late = (max([place[0], *own]), *place[1:])
        elif mark is None:
            own = [w for w in self._writes.get(name, []) if w.region == region and w.whole is not None]
            late = (max([place[0], *(w.late[0] for w in own[-1:])]), *place[1:])
        write = Write(place, late, region, parts if old else dict(now), new and now)
        self._writes.setdefault(name, []).append(write)

    def _since(self, region: str, name: str) -> list[Write]:
        """The region's own writes; if deletes win, those since its last delete, which covers what is written after it
        as well: its own time alone then says whether a later write survives it."""
        own = [write for write in self._writes.get(name, []) if write.region == region]
        deletes = [at for at, write in enumerate(own, 1) if write.whole is None] if self._deletes == "win" else []
        return own[max(deletes, default=0) :]

    def _mark(self, region: str, name: str, old: Image | None) -> list[Any] | None:
        """The rank that a replicator wrote the old image with; None if the application did."""
        found = (old or {}).get(REPLICA_VERSION, {}).get("S", "")
        if not found or old in self._own.get((region, name), []):
            return None
        rank: list[Any] = json.loads(found.split(".", 2)[2])[0]
        return rank

    def _seen(self, name: str, old: Image, mark: list[Any]) -> Decimal:
        """The position of the write that a row shows, by its mark. What a repair found has none there, but one behind
        all that was known: then it is the newest of that region and time which the row can show."""
        shows, (typed, region, guess, _) = parts_of(old), mark
        own = [w for w in self._writes.get(name, []) if w.region == region and w.whole is not None]
        found = [
            write.place[2]
            for write in own
            if decode(typed) in (write.place[0], write.late[0]) and self._is_shown(write, shows)
        ]
        least = int(guess) // 1000 if 10**18 <= int(guess) < 10**20 else int(guess)
        same = [write.place[2] for write in own if int(write.place[2]) == least]
        here = [at for at in found if at in same] or same
        return max(here or (at for at in found if at > least), default=Decimal(least))

    def _is_shown(self, write: Write, shows: dict[Any, Any]) -> bool:
        whole, visits = write.whole or {}, ("visits", write.region)
        if isinstance(self._declared.rule, Merge) and self._declared.rule.items is not None:
            return best(shows, whole) == shows
        return whole.get(visits) == shows.get(visits)

    def _place(self, region: str, body: Any, mark: list[Any] | None) -> tuple:
        image = body.get("NewImage") or body["OldImage"]
        dead, number = "NewImage" not in body, Decimal(body["SequenceNumber"])
        if self._by == "second":
            time = Decimal(body["ApproximateCreationDateTime"])
            stood = decode(mark[0]) if mark else None
            time = stood + INSTANT if isinstance(stood, Decimal) and stood >= time else time
            return time, self._rank(region), number, dead
        time = Decimal(image["at"]["N"])
        place = (time, self._rank(region), number, dead)
        if dead and mark:
            place = (decode(mark[0]), self._rank(mark[1]), Decimal(mark[2]), True)
        end = Decimal(body["ApproximateCreationDateTime"] + 1)
        return (end, self._rank(region), number, True) if dead and self._deletes == "win" and end > time else place

    def _rank(self, region: str) -> int:
        return -self._declared.regions.index(region)

    def right(self, in_order: bool) -> dict[str, tuple[Image | None, ...]]:
        """See `Histories.right`; what is delivered in order has its `late` place."""
        late = {name: [write._replace(place=write.late) for write in writes] for name, writes in self._writes.items()}
        return {
            name: tuple(
                self._item(name, sorted(each, key=lambda w: w.place))
                for each in ((late[name],) if in_order else (writes, late[name]))
            )
            for name, writes in self._writes.items()
        }

    def _item(self, name: str, writes: Sequence[Write]) -> Image | None:
        last = max((write for write in writes if write.whole is not None), key=lambda w: w.place, default=None)
        death = max((write.place for write in writes if write.whole is None), default=())
        if last is None or last.place < death:
            return None
        since = [write for write in writes if write.place > death and write.whole is not None]
        rule = self._declared.rule
        if isinstance(rule, Merge) and rule.items is not None:
            found: dict[str, Any] = {}
            for whole in {write.region: write.whole or {} for write in since}.values():
                found = best(found, whole)
            return {"id": {"S": name}, **whole_of(found)}
        newest = {write.region: write for write in since}
        parts = dict(last.whole or {})
        for write in since:
            mine = newest[write.region]
            later = mine.whole if mine.place[2] > write.place[2] else None
            parts |= {part: later.get(part) for part in write.parts} if later else write.parts
        return {"id": {"S": name}, **whole_of({part: value for part, value in parts.items() if value is not None})}


def parts_of(image: Image) -> dict[Any, Any]:
    """An item by attribute, its tags and visits by member."""
    found: dict[Any, Any] = {}
    for name, typed in image.items():
        if name == "tags":
            found |= {(name, member): True for member in typed["SS"]}
        elif name == "visits":
            found |= {(name, region): decode(cell) for region, cell in typed["M"].items()}
        elif name not in REST:
            found[name] = decode(typed)
    return found


def whole_of(parts: dict[Any, Any]) -> Image:
    """An item of its parts."""
    item = {name: encode(value) for name, value in parts.items() if isinstance(name, str)}
    tags = sorted(name[1] for name in parts if name[0] == "tags" and isinstance(name, tuple))
    cells = {name[1]: encode(value) for name, value in parts.items() if name[0] == "visits" and isinstance(name, tuple)}
    return item | ({"tags": {"SS": tags}} if tags else {}) | {"visits": {"M": cells}}


class Merging(Mesh):
    """See `Mesh`; the tables of tombstones hold what is known."""

    def _ruled(self) -> tuple[MultiActive, Any]:
        by = self.random.choice(("at", "at", "second"))
        deletes = self.random.choice(("lose", "win")) if by == "at" else "lose"
        named = (None, None) if by == "second" else ("at", "seconds")
        self.whole = self.random.random() < 0.3
        rule = (
            custom(best, SAMPLES, *named) if self.whole else by_attribute(*named, union=("tags",), counters=("visits",))
        )
        regions = tuple(self.random.sample(self.regions, len(self.regions)))
        declared = MultiActive(regions=regions, rule=rule, deletes=deletes)
        return declared, Agreement(declared, by, deletes)

    def _edit(self, client: Any, region: str, name: str) -> None:
        """An item put whole or in part, with the version attribute that it was read with or without; or deleted."""
        random, table, key = self.random, f"items@{region}", {"id": {"S": name}}
        stood = self.tables.state[table].get((name,))
        if stood and random.random() < 0.25:
            client.delete_item(TableName=table, Key=key)
            return
        now = CREATED + self.tables.clock // 3 + self.skew[region]
        if self.whole and stood:
            now = max(now, int(stood["at"]["N"]))
        at = {"at": {"N": str(now)}}
        row = (grown if self.whole else changed)(random, dict(stood or {}), region)
        if random.random() < 0.3:
            row.pop(REPLICA_VERSION, None)
        client.put_item(TableName=table, Item={**row, **at, **key})

    def _bound(self, edits: int, deletions: int) -> int:
        """What is known grows once a region for each write; a row follows it, once for a delete it is marked before."""
        return (edits + deletions + self.repeats) * len(self.regions) * 3


def changed(random: Random, row: Image, region: str) -> Image:
    """Some attributes written, one perhaps taken away; a tag more or less; a visit in this region."""
    for name in random.sample("abc", random.randint(0, 2)):
        row[name] = {"N": str(random.randrange(5))}
    if random.random() < 0.3:
        row.pop(random.choice("abc"), None)
    tags = {*row.pop("tags", {}).get("SS", ())} ^ {random.choice("xyz")}
    row |= {"tags": {"SS": sorted(tags)}} if tags else {}
    return _visited(row, region)


def grown(random: Random, row: Image, region: str) -> Image:
    """Some attributes greater than they were, for then it does not matter who knew of whom."""
    for name in random.sample("abc", random.randint(1, 2)):
        row[name] = {"N": str(int(row.get(name, {"N": "100"})["N"]) + random.randrange(1, 50))}
    row.pop("tags", None)
    return row | {"visits": {"M": {}}}


def _visited(row: Image, region: str) -> Image:
    cells = dict(row.get("visits", {}).get("M", {}))
    cells[region] = {"N": str(int(cells.get(region, {"N": "0"})["N"]) + 1)}
    return {**row, "visits": {"M": cells}}
