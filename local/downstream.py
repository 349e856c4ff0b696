"""What is downstream of an example: rows, documents and events, read from where functions keep or send them."""

import json
import urllib.request
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from boto3.dynamodb.types import TypeDeserializer
from rich.console import Console
from rich.table import Table

from local.aws import Aws

Rows = dict[str, dict[str, Any]]
"""What is shown of each thing, by its name. The first part of a name, up to a `#` or a space, says of which kind it
is."""

SHOWN = 8
_HIDDEN, _BESIDE = "_distributary_", "%"
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Downstream:
    """Rows of derived tables, documents of indexes, and the events that rules sent."""

    rows: Rows
    documents: Rows
    messages: Rows

    def differences(self, made: "Downstream") -> list[str]:
        """A line for each thing of `made` that is not as it should be, which is as it is here."""
        found = []
        for what in ("rows", "documents", "messages"):
            should, is_ = getattr(self, what), getattr(made, what)
            for name in sorted(should.keys() | is_.keys()):
                if should.get(name) != is_.get(name):
                    found.append(f"{what}: {name}: should be {should.get(name)}, is {is_.get(name)}")
        return found

    def show(self, console: Console) -> None:
        """Prints a table for each kind of thing, with its first entries."""
        for what in ("rows", "documents", "messages"):
            kinds: dict[str, Rows] = {}
            for name, shown in sorted(getattr(self, what).items()):
                kinds.setdefault(name.replace("#", " ").split(" ")[0], {})[name] = shown
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
    """A derived table's rows that readers see."""
    read, found = TypeDeserializer().deserialize, Rows()
    for item in scanned(client, table):
        row = {name: read(value) for name, value in item.items() if not name.startswith(_HIDDEN)}
        if not row["pk"].startswith(_BESIDE):
            found[f"{row.pop('pk')} / {row.pop('sk')}"] = row
    return found


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


def _show(title: str, things: Rows, console: Console) -> None:
    columns = dict.fromkeys(name for shown in things.values() for name in shown)
    keys = ("pk", "sk") if title.startswith("rows") else ()
    table = Table(title=title, title_justify="left", box=None)
    for column in (*keys, *columns):
        table.add_column(column, overflow="fold")
    for name, shown in list(things.items())[:SHOWN]:
        table.add_row(*(name.split(" / ", 1) if keys else ()), *(str(shown.get(column, "")) for column in columns))
    console.print(table)
    if len(things) > SHOWN:
        console.print(f"and {len(things) - SHOWN} more", markup=False)
    console.print()
