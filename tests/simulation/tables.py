"""A source table that lives at random: its items, and every record and snapshot that it leaves."""

from random import Random
from typing import Any

ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/items/stream/2026-11-20T09:12:44.017"
TTL = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
STATUSES = ("new", "open", "closed#", "%s1")
TAGS = ("red", "green", "blue", "a#b")
TOTALS = ("1", "-2.50", "3", "1E+20", "0.1", "0", "1.0")


class Table:
    """`history` of each item: (position, image or None, expired), oldest first; `records` as a stream holds them."""

    def __init__(self, random: Random, items: int, edits: int) -> None:
        self._random = random
        self._statuses = random.sample(STATUSES, random.randint(1, 4))
        self._position = 10**20
        self.items: dict[str, dict[str, Any]] = {}
        self.history: dict[str, list[tuple[int, dict[str, Any] | None, bool]]] = {}
        self.records: list[dict[str, Any]] = []
        names = [f"i{n}" for n in range(items)]
        for name in random.sample(names, random.randint(0, items // 2)):
            self.items[name] = self._image(name)
            self.history[name] = [(0, self.items[name], False)]
        self._before = dict(self.items)
        for _ in range(edits):
            self._edit(random.choice(names))
        for name, image in self._before.items():
            self.records.append(self._record("INSERT", name, None, image, 0))

    def empty(self) -> list[dict[str, Any]]:
        """Deletes what there is, and answers the records."""
        since = len(self.records)
        for name in list(self.items):
            self.put(name, None, False)
        return self.records[since:]

    def _edit(self, name: str) -> None:
        if name in self.items and self._random.random() < 0.3:
            self.put(name, None, self._random.random() < 0.4)
        elif name in self.items and self._random.random() < 0.5:
            image = dict(self.items[name])
            fresh = self._image(name)
            changed = self._random.choice(list(fresh))
            self.put(name, {**image, changed: fresh[changed]}, False)
        else:
            self.put(name, self._image(name), False)

    def put(self, name: str, image: dict[str, Any] | None, expired: bool = False) -> None:
        """An item written, or deleted if there is no image; what changes nothing leaves no record."""
        old = self.items.pop(name, None)
        if image is not None:
            self.items[name] = image
        if image == old:
            return
        self._position += self._random.randint(1, 10**19)
        kind = "REMOVE" if image is None else "MODIFY" if old else "INSERT"
        self.history.setdefault(name, []).append((self._position, image, expired))
        record = self._record(kind, name, old, image, self._position)
        self.records.append({**record, **({"userIdentity": TTL} if expired else {})})

    def _image(self, name: str) -> dict[str, Any]:
        random = self._random
        image: dict[str, Any] = {"id": {"S": name}, "type": {"S": random.choice("aab")}}
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

    def _record(self, kind: str, name: str, old: Any, new: Any, position: int) -> dict[str, Any]:
        body = {"ApproximateCreationDateTime": 1_795_341_600, "Keys": {"id": {"S": name}}, "SizeBytes": 1}
        body |= {"NewImage": new} if new else {}
        body |= {"OldImage": old} if old else {}
        record = {"eventID": f"e{position}-{name}", "eventName": kind, "eventSource": "aws:dynamodb", "dynamodb": body}
        if position == 0:
            return {**record, "eventSourceARN": ARN, "distributary": {"origin": "snapshot"}}
        body["SequenceNumber"] = str(position)
        return {**record, "eventSourceARN": ARN}
