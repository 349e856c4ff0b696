"""What should be downstream, by plain Python over the table's items and what was saved, without declarations."""

import json
from collections import Counter, defaultdict
from decimal import Context, Decimal
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from distributary.readers.archive import ArchivedChange
from examples.agent_memory.writer import Journal
from local.downstream import Downstream, Rows, message
from local.examples import Tables

Item = dict[str, Any]
QUOTIENT = Context(prec=38)
LONG = 1000
"""Characters of a text that is an attachment."""


def expected(tables: Tables, journal: Journal) -> Downstream:
    """See `Example`."""
    read, kinds = TypeDeserializer().deserialize, defaultdict[str, list[Item]](list)
    for item in tables["agent_memory"]:
        plain = {name: read(typed) for name, typed in item.items()}
        kinds[plain["pk"].split("#")[1].removeprefix("entity_")].append(plain)
    messages, threads = kinds["message"], kinds["thread"]
    rows = {**_counts(messages, journal), **_latest(messages), **_titled(messages, threads)}
    rows |= {**_threads(threads), **_scores(kinds["score"])}
    documents = {**_messages(messages), **_snapshots(kinds["workflow_snapshot"])}
    sent: Rows = {}
    for one, thread in journal.fleeting:
        sent |= message("message-expired", {"id": one, "threadId": thread})
    return Downstream(rows, documents, sent, _removals(messages, journal))


def removal(change: ArchivedChange) -> str | None:
    """Which message went, and whether it expired. None for other changes."""
    old = change.old or {}
    if change.kind != "REMOVE" or "#entity_message#" not in change.keys["pk"]["S"]:
        return None
    return f"{'expired' if change.expired else 'deleted'} {old['id']['S']}"


def _removals(messages: list[Item], journal: Journal) -> Rows:
    deleted = set(journal.messages) - {each["id"] for each in messages}
    names = [f"deleted {each}" for each in deleted] + [f"expired {each}" for each, _ in journal.fleeting]
    return {name: {"times": 1} for name in names}


def _counts(messages: list[Item], journal: Journal) -> Rows:
    now = Counter(each["threadId"] for each in messages)
    ever = now + Counter(thread for _, thread in journal.fleeting)
    rows: Rows = {f"THREAD#{thread} / MESSAGES": {"messages": many} for thread, many in now.items()}
    return rows | {f"THREAD#{thread} / WITH-EXPIRED": {"messages": many} for thread, many in ever.items()}


def _latest(messages: list[Item]) -> Rows:
    ordered = sorted(messages, key=lambda each: (each["createdAt"], each["pk"]), reverse=True)
    tops: defaultdict[str, list[Item]] = defaultdict(list)
    for each in ordered:
        preview = " ".join(_texts(each))[:40]
        tops[each["threadId"]].append({"id": each["id"], "role": each["role"], "preview": preview})
    return {f"THREAD#{thread} / LATEST": {"top": entries[:3]} for thread, entries in tops.items()}


def _titled(messages: list[Item], threads: list[Item]) -> Rows:
    titles, rows = {each["id"]: each.get("title") for each in threads}, Rows()
    for each in messages:
        keys = "#".join(each[key].replace("#", "%23") for key in ("pk", "sk"))
        title = titles.get(each["threadId"])
        shown = {"id": each["id"], "role": each["role"], **({"title": title} if title else {})}
        rows[f"TITLED#{each['threadId']} / {each['createdAt']}#{keys}"] = shown
    return rows


def _threads(threads: list[Item]) -> Rows:
    found = Counter(each["resourceId"] for each in threads if "resourceId" in each)
    return {f"RESOURCE#{resource} / THREADS": {"threads": many} for resource, many in found.items()}


def _scores(scores: list[Item]) -> Rows:
    found: defaultdict[str, list[Decimal]] = defaultdict(list)
    for each in scores:
        found[each["scorerId"]].append(each["score"])
    return {
        f"SCORER#{scorer} / SCORES": {
            "scores": len(all_),
            "mean": QUOTIENT.divide(sum(all_), Decimal(len(all_))),
            "least": min(all_),
        }
        for scorer, all_ in found.items()
    }


def _texts(each: Item) -> list[str]:
    return [part["text"] for part in json.loads(each["content"])["parts"] if part["type"] == "text"]


def _messages(messages: list[Item]) -> Rows:
    found: Rows = {}
    for each in messages:
        content = json.loads(each["content"])
        for part in content["parts"]:
            if len(part.get("data", "")) > LONG:
                del part["data"]
        found[f"agent-messages / {each['id']}"] = {
            "id": each["id"],
            "thread": each["threadId"],
            "resource": each["resourceId"],
            "role": each["role"],
            "created": each["createdAt"],
            "text": "\n".join(_texts(each)),
            "content": content,
        }
    return found


def _snapshots(snapshots: list[Item]) -> Rows:
    found: Rows = {}
    for each in snapshots:
        snapshot = json.loads(each["snapshot"])
        found[f"agent-workflows / {each['run_id']}"] = {
            "id": each["run_id"],
            "workflow": each["workflow_name"],
            "status": snapshot["status"],
            "created": each["createdAt"],
            "snapshot": snapshot,
        }
    return found
