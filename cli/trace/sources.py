"""Where a change leaves its id: the archive, the parking bucket, conflicts, claims and logs. Each is only read."""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC
from pathlib import Path
from typing import Any

from cli import project as projects
from cli.errors import DeclarationFaults, UsageFault
from cli.stack import Function, Stack
from cli.trace.sought import Sought, Step, at
from distributary.consumer import parking
from distributary.consumer.deadline import FOREVER
from distributary.dynamodb.requests import batch_get
from distributary.readers import given_up, place
from distributary.readers.archive import Archive
from distributary.readers.archive_layout import SECOND
from distributary.readers.parked import Bucket, Parked
from distributary.replicate.multi_active import conflicts as conflicting
from distributary.stream.change import Change
from distributary.stream.keys import bounded, escape, table_of
from distributary.stream.records import decode
from distributary.welcome.branch import claim_ids, occasion

LOGGED = 20
"""Events of an item that are looked for in the logs: a pattern of CloudWatch's has at most 1,024 characters."""

_ID = re.compile(r"[A-Za-z0-9._:-]{1,100}")


def archived(stack: Stack, sought: Sought) -> Iterator[Step]:
    """The changes themselves, of the tables that archive reads."""
    function = stack.function("archive")
    address = f"s3://{function.environment['ARCHIVE_BUCKET']}"
    for table in function.sources:
        archive = Archive(place.place(address, lambda: stack.clients("s3")), table)
        for name in archive.names_from(round(sought.since.timestamp() * SECOND)):
            yield from _lines(archive, name, sought)


def _lines(archive: Archive, name: str, sought: Sought) -> Iterator[Step]:
    seen = set[str]()
    for number, line in archive.lines(name):
        if sought.event and sought.event.encode() not in line:
            continue
        change = archive.read(name, number, line)
        record = change.record()
        if record["eventID"] in seen or not sought.is_it(record):
            continue
        seen.add(record["eventID"])
        old, new = change.old or {}, change.new or {}
        differ = sorted(each for each in old.keys() | new.keys() if old.get(each) != new.get(each))
        said = f"{json.dumps(change.keys, ensure_ascii=False)}, changed {', '.join(differ) or 'nothing'}"
        time = at(change.micros / SECOND)
        yield Step(time, archive.table, change.kind, record["eventID"], said, archive.place.shown(name))


def parked(stack: Stack, sought: Sought) -> Iterator[Step]:
    """What functions parked, and what Lambda gave up."""
    bucket = Bucket(stack.clients("s3"), stack.output("ParkingBucketName"), stack.functions)
    branches = list(stack.functions)
    ending = f"/{bounded(escape(sought.event), 512)}.json"
    for branch in branches:
        for found in bucket.places(f"{parking.PREFIX}/{branch}/"):
            folder = found.name.split("/")[2]
            if found.name.endswith(ending) if sought.event else folder in sought.digests:
                for change in bucket.changes(found, branches):
                    sought.is_it(change.record)
                    yield _parked(bucket, change, "parked")
    for found in bucket.places(given_up.PREFIX, sought.since):
        for change in bucket.changes(found, branches):
            if sought.is_it(change.record):
                yield _parked(bucket, change, "given up")


def _parked(bucket: Bucket, change: Parked, what: str) -> Step:
    event = str((change.record or {}).get("eventID", "")) or change.place.name.rpartition("/")[2].removesuffix(".json")
    when, name = change.place.when.astimezone(UTC), f"s3://{bucket.name}/{change.place.name}"
    return Step(when, change.branch, what, event, change.cause, name)


def conflicts(stack: Stack, sought: Sought) -> Iterator[Step]:
    """Conflicts that these changes met, and all of an item."""
    bucket = Bucket(stack.clients("s3"), stack.output("ParkingBucketName"), stack.functions)
    for found in bucket.places(f"{conflicting.PREFIX}/", sought.since):
        body = bucket.json(found)
        events = [str(each) for each in body.get("events", [])]
        if found.name.split("/")[1] in sought.digests or set(events) & set(sought.events):
            winner = body.get("winner") or {}
            said = f"{winner.get('region', '')} won by {body.get('rule', '')}"
            name = f"s3://{bucket.name}/{found.name}"
            yield Step(found.when.astimezone(UTC), "replicate", "conflict", ", ".join(events), said, name)


def claims(stack: Stack, sought: Sought, project: Path) -> Iterator[Step]:
    """The messages that rules of the project asked for about these changes, by their claims."""
    table = stack.function("welcome").environment["CLAIM_TABLE"]
    try:
        with projects.declarations(projects.find(project), "welcome") as rules:
            asked = dict(_claims(rules, sought))
    except (UsageFault, DeclarationFaults):
        return
    keys = [{"id": {"S": id}} for id in asked]
    client = stack.clients("dynamodb")
    for row in batch_get(client, table, keys, FOREVER, "claim BatchGetItem") if keys else ():
        rule, event = asked[row["id"]["S"]]
        message = row.get("message_id", {}).get("S", "")
        said = f"rule {rule}, {row.get('state', {}).get('S', '')}" + (
            f", the provider's id is {message}" if message else ""
        )
        begun = at(float(row.get("lease", {}).get("N", "0")))
        yield Step(begun, "welcome", "message", event, f"{said}; this is when its claim ended", table)


def _claims(rules: Any, sought: Sought) -> Iterator[tuple[str, tuple[str, str]]]:
    """By a claim's id, the rule and the event. One of a rule that sends once may be an earlier event's."""
    for event, record in sought.records.items():
        (change,) = decode({"Records": [record]}, 0)
        if isinstance(change, Change):
            position = occasion(change)
            for rule in rules:
                if rule.of.reads(change.source):
                    for id in (each for ids in claim_ids(rule, change, position) for each in ids):
                        yield id, (rule.name, event)


def logged(stack: Stack, sought: Sought, function: Function) -> Iterator[Step]:
    """Lines of a function's log that hold one of the ids."""
    ids = [each for each in sought.events if _ID.fullmatch(each)][:LOGGED]
    if not ids or not function.log_group:
        return
    request: dict[str, Any] = {
        "logGroupName": function.log_group,
        "startTime": int(sought.since.timestamp() * 1000),
        "filterPattern": " ".join(f'?"{each}"' for each in ids) if len(ids) > 1 else f'"{ids[0]}"',
    }
    while True:
        page = stack.clients("logs").filter_log_events(**request)
        for line in page.get("events", []):
            yield _logged(function, line, ids)
        if not page.get("nextToken"):
            return
        request["nextToken"] = page["nextToken"]


def _logged(function: Function, line: Mapping[str, Any], ids: list[str]) -> Step:
    text = str(line["message"])
    told = given_up.parsed(text)
    told = told if isinstance(told, dict) else {"message": "log", "cause": text[:200]}
    event = ", ".join(each for each in ids if each in text)
    many = f"{told['changes']} changes, " if "changes" in told else ""
    said = f"{many}{told.get('cause') or told.get('outcome') or ''}"
    return Step(
        at(line["timestamp"] / 1000), function.branch, str(told.get("message")), event, said, function.log_group
    )


def tables_of(stack: Stack) -> tuple[str, ...]:
    """Those that the stack's functions read or have read."""
    return tuple(
        dict.fromkeys(table_of(stream) for function in stack.functions.values() for stream in function.streams)
    )
