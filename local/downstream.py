"""What is downstream of an example: rows, documents, events and archived changes, read from where functions keep or
send them."""

import json
import re
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from boto3.dynamodb.types import TypeDeserializer
from rich.console import Console
from rich.table import Table

from distributary.readers.archive import Archive, ArchivedChange
from distributary.readers.place import place
from local.aws import Aws

Rows = dict[str, dict[str, Any]]
"""What is shown of each thing, by its name. The first part of a name, up to a `#` or a space, says of which kind it
is."""

SHOWN = 8
_CAPITALS = re.compile(r"[A-Z][A-Z-]{2,}").fullmatch
_KEYS = {"rows": ("pk", "sk"), "changes": ("change",)}
"""What is shown of a name, in columns of their own."""

_HIDDEN, _BESIDE = "_distributary_", "%"
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Downstream:
    """Rows of derived tables, documents of indexes, the events that rules sent, an archive's changes, and the items
    of a replica."""

    rows: Rows = field(default_factory=dict)
    documents: Rows = field(default_factory=dict)
    messages: Rows = field(default_factory=dict)
    changes: Rows = field(default_factory=dict)
    replicated: Rows = field(default_factory=dict)

    def kinds(self) -> dict[str, Rows]:
        """All of them, by the name of their kind."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def differences(self, made: "Downstream") -> list[str]:
        """A line for each thing of `made` that is not as it should be, which is as it is here."""
        found = []
        for (what, should), is_ in zip(self.kinds().items(), made.kinds().values(), strict=True):
            for name in sorted(should.keys() | is_.keys()):
                if should.get(name) != is_.get(name):
                    found.append(f"{what}: {name}: should be {should.get(name)}, is {is_.get(name)}")
        return found

    def show(self, console: Console) -> None:
        """Prints a table for each kind of thing, with its first entries."""
        for what, found in self.kinds().items():
            kinds: dict[str, Rows] = {}
            for name, shown in sorted(found.items()):
                kinds.setdefault(_kind(what, name), {})[name] = shown
            for kind, things in kinds.items():
                _show(f"{what}: {kind} ({len(things)})", things, console)


def message(rule: str, values: Mapping[str, str], times: int = 1) -> Rows:
    """An event by its rule and values, and how often it was sent."""
    return {f"{rule} {' '.join(values[name] for name in sorted(values))}": {**values, "times": times}}


def scanned(client: Any, table: str) -> Iterator[dict[str, Any]]:
    """Every item of a table, read consistently."""
    for page in client.get_paginator("scan").paginate(TableName=table, ConsistentRead=True):
        yield from page["Items"]


def rows(client: Any, table: str) -> Rows:
    """A derived table's rows that readers see, without the attributes that are null."""
    found = Rows()
    for item in scanned(client, table):
        row = {name: value for name, value in _shown(item).items() if value is not None}
        if not row["pk"].startswith(_BESIDE):
            found[f"{row.pop('pk')} / {row.pop('sk')}"] = row
    return found


def replica(client: Any, table: str, keys: Sequence[str]) -> Rows:
    """A replica's items."""
    items = [_shown(item) for item in scanned(client, table)]
    return {" / ".join((table, *(str(item[name]) for name in keys))): item for item in items}


def _shown(item: Mapping[str, Any]) -> dict[str, Any]:
    """What is not Distributary's own."""
    read = TypeDeserializer().deserialize
    return {name: read(value) for name, value in item.items() if not name.startswith(_HIDDEN)}


def documents(endpoint: str, index: str, named: Sequence[str]) -> Rows:
    """The documents that readers find by an alias, at most a page of them; `named`: the fields that name each."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(urllib.request.Request(f"{endpoint}/{index}/_refresh", method="POST"), timeout=10):
        pass
    with opener.open(f"{endpoint}/{index}/_search?size={_PAGE + 1}", timeout=10) as answer:
        hits = [hit["_source"] for hit in json.load(answer)["hits"]["hits"]]
    assert len(hits) <= _PAGE, f"the index {index} has more than {_PAGE} documents"
    found = {" / ".join((index, *(hit[name] for name in named))): hit for hit in hits}
    assert len(found) == len(hits), f"two documents of {index} have one name"
    return found


def changes(s3: Any, bucket: str, table: str, named: Callable[[ArchivedChange], str | None]) -> Rows:
    """What is archived of a table, each change once: by its name, how many there are. None is not shown."""
    found = Archive(place(f"s3://{bucket}", lambda: s3), table).changes()
    once = {(json.dumps(change.keys, sort_keys=True), change.at): named(change) for change in found}
    return {name: {"times": many} for name, many in Counter(once.values()).items() if name is not None}


class Bus:
    """An event bus with a queue that keeps all events which rules send to it."""

    def __init__(self, aws: Aws, name: str) -> None:
        self.name, self._sqs, events = name, aws.client("sqs"), aws.client("events")
        self._queue = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        asked = self._sqs.get_queue_attributes(QueueUrl=self._queue, AttributeNames=["QueueArn"])
        target = {"Id": "kept", "Arn": asked["Attributes"]["QueueArn"]}
        events.create_event_bus(Name=name)
        pattern = json.dumps({"source": ["distributary.welcome"]})
        events.put_rule(Name=name, EventBusName=name, EventPattern=pattern)
        events.put_targets(Rule=name, EventBusName=name, Targets=[target])

    def messages(self) -> Rows:
        """What was sent since the last look."""
        sent: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()
        while found := self._sqs.receive_message(QueueUrl=self._queue, MaxNumberOfMessages=10).get("Messages"):
            for each in found:
                detail = json.loads(each["Body"])["detail"]
                plain = {
                    name.removesuffix("_text"): v for name, v in detail["values"].items() if name.endswith("_text")
                }
                sent[detail["rule"], tuple(plain.items())] += 1
                self._sqs.delete_message(QueueUrl=self._queue, ReceiptHandle=each["ReceiptHandle"])
        rows = Rows()
        for (rule, values), times in sent.items():
            rows |= message(rule, dict(values), times)
        return rows


def _kind(what: str, name: str) -> str:
    """The first word of a name; of a row, also that of its sort key, if it is one of capitals."""
    first, *more = [re.split("[# ]", part, maxsplit=1)[0] for part in name.split(" / ")]
    return f"{first} / {more[0]}" if what == "rows" and more and _CAPITALS(more[0]) else first


def _show(title: str, things: Rows, console: Console) -> None:
    columns = dict.fromkeys(name for shown in things.values() for name in shown)
    keys = _KEYS.get(title.split(":")[0], ())
    table = Table(title=title, title_justify="left", box=None, min_width=len(title))
    for column in (*keys, *columns):
        table.add_column(column, overflow="fold")
    for name, shown in list(things.items())[:SHOWN]:
        table.add_row(
            *(name.split(" / ", len(keys) - 1) if keys else ()), *(str(shown.get(column, "")) for column in columns)
        )
    console.print(table)
    if len(things) > SHOWN:
        console.print(f"and {len(things) - SHOWN} more", markup=False)
    console.print()
