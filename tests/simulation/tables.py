"""A source table: its items, and every record and snapshot that it leaves; and one that lives at random."""

from random import Random
from typing import Any

from tests.fakes.streaming import TTL, Record, arn_of, record

ARN = arn_of("items")
STATUSES = ("new", "open", "closed#", "%s1")
TAGS = ("red", "green", "blue", "a#b")
TOTALS = ("1", "-2.50", "3", "1E+20", "0.1", "0", "1.0")

Image = dict[str, Any]


class Table:
    """`items` as they stand; `history` of each: (position, image or None, expired), oldest first; `records` as a stream
    holds them, and snapshots of items, at position 0."""

    def __init__(self) -> None:
        self.items: dict[str, Image] = {}
        self.history: dict[str, list[tuple[int, Image | None, bool]]] = {}
        self.records: list[Record] = []
        self._position = 10**20

    def hold(self, items: dict[str, Image]) -> None:
        """Items that were there before there was a stream."""
        self.items |= items
        self.history |= {name: [(0, image, False)] for name, image in items.items()}

    def put(self, name: str, image: Image | None, expired: bool = False, gap: int = 1) -> None:
        """An item written, or deleted if there is no image; what changes nothing leaves no record."""
        old = self.items.pop(name, None)
        if image is not None:
            self.items[name] = image
        if image == old:
            return
        self._position += gap
        self.history.setdefault(name, []).append((self._position, image, expired))
        more = {"userIdentity": TTL} if expired else {}
        self.records.append(_record(name, old, image, self._position, **more))

    def scan(self, items: dict[str, Image] | None = None) -> None:
        """Snapshots of the items as they stand, or as they stood at another time."""
        for name, image in (self.items if items is None else items).items():
            self.records.append(_record(name, None, image, 0))

    def empty(self) -> list[Record]:
        """Deletes what there is, and answers the records."""
        since = len(self.records)
        for name in list(self.items):
            self.put(name, None)
        return self.records[since:]


class Life(Table):
    """One that the random source determines: some items before the stream, and edits of any kind."""

    def __init__(self, random: Random, items: int, edits: int) -> None:
        super().__init__()
        self._random = random
        self._statuses = random.sample(STATUSES, random.randint(1, 4))
        names = [f"i{n}" for n in range(items)]
        self.hold(
            {name: self._image() | {"id": {"S": name}} for name in random.sample(names, random.randint(0, items // 2))}
        )
        before = dict(self.items)
        for _ in range(edits):
            self._edit(random.choice(names))
        self.scan(before)

    def _edit(self, name: str) -> None:
        gap = self._random.randint(1, 10**19)
        fresh = {"id": {"S": name}, **self._image()}
        if name in self.items and self._random.random() < 0.3:
            self.put(name, None, self._random.random() < 0.4, gap)
        elif name in self.items and self._random.random() < 0.5:
            changed = self._random.choice(list(fresh))
            self.put(name, {**self.items[name], changed: fresh[changed]}, gap=gap)
        else:
            self.put(name, fresh, gap=gap)

    def _image(self) -> Image:
        random = self._random
        image: Image = {"type": {"S": random.choice("aab")}}
        if random.random() < 0.9:
            image["status"] = {"S": random.choice(self._statuses)}
        if random.random() < 0.8:
            image["total"] = {"N": random.choice(TOTALS)} if random.random() < 0.95 else {"S": "much"}
        if random.random() < 0.7:
            image["tags"] = {"SS": sorted(random.sample(TAGS, random.randint(1, 3)))}
        if random.random() < 0.9:
            image["when"] = {"N": str(random.randint(-3, 3))}
        image["name"] = {"S": random.choice("xyz")}
        return image


def _record(name: str, old: Image | None, new: Image | None, position: int, **more: Any) -> Record:
    id = {"eventID": f"e{position}-{name}"}
    if position == 0:
        return record(ARN, {"id": {"S": name}}, old, new, None, **id, distributary={"origin": "snapshot"})
    return record(ARN, {"id": {"S": name}}, old, new, position, **id, **more)
