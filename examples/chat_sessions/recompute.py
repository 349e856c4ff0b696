"""What should be downstream, by plain Python over the table's items and the callers' journal, without declarations."""

from collections import Counter

from examples.chat_sessions.workload import Journal
from local.downstream import Downstream, Rows, message
from local.examples import Tables


def expected(tables: Tables, journal: Journal) -> Downstream:
    """See `Example`."""
    records = [{name: value["S"] for name, value in item.items()} for item in tables["chat_session"]]
    return Downstream(_rows(records), _documents(records), _messages(records, journal))


def _is_active(record: dict[str, str]) -> bool:
    return record["SK"].startswith("#ACTIVE#")


def _character(record: dict[str, str]) -> str:
    return record["SK"].split("#")[2 if _is_active(record) else 0]


def _rows(records: list[dict[str, str]]) -> Rows:
    active = Counter(_character(each) for each in records if _is_active(each))
    closed = Counter((_character(each), each["delete_time"][:10]) for each in records if "delete_time" in each)
    renewed = Counter(_character(each) for each in records if not _is_active(each) and "delete_time" not in each)
    rows: Rows = {f"CHARACTER#{who} / ACTIVE": {"sessions": many} for who, many in active.items()}
    rows |= {f"CHARACTER#{who} / DAY#{day}": {"closings": many} for (who, day), many in closed.items()}
    rows |= {f"CHARACTER#{who} / RENEWALS": {"renewals": many} for who, many in renewed.items()}
    for each in sorted(records, key=lambda record: record["create_time"], reverse=True):
        sort = f"SESSION#{each['create_time']}#{each['SK'].replace('#', '%23')}"
        shown = {name: each[name] for name in ("chat_id", "ai_version", "delete_time") if name in each}
        rows[f"USER#{each['PK']} / {sort}"] = shown
        rows[f"FIRST-SESSION#{each['PK']} / SESSION"] = {"user": each["PK"], "chat_id": each["chat_id"]}
    return rows


def _documents(records: list[dict[str, str]]) -> Rows:
    found: Rows = {}
    for each in records:
        state = "active" if _is_active(each) else "closed" if "delete_time" in each else "renewed"
        document = {
            "user": each["PK"],
            "character": _character(each),
            "chat_id": each["chat_id"],
            "ai_version": each["ai_version"],
            "state": state,
            "created": each["create_time"],
        }
        closed = {"closed": each["delete_time"]} if "delete_time" in each else {}
        found[f"chat-sessions / {each['PK']} / {each['chat_id']}"] = {**document, **closed}
    return found


def _messages(records: list[dict[str, str]], journal: Journal) -> Rows:
    """Which chats ended, and how, is what the callers were told: each closing closed one, and of the chats that were
    begun, what is neither closed nor active was renewed. The version that a chat had at its end is in its record."""
    begun = {*journal.created, *journal.renewed}
    active = {(each["PK"], each["chat_id"]) for each in records if _is_active(each)}
    version = {each["chat_id"]: each["ai_version"] for each in records}
    ended = {"chat-closed": set(journal.closed), "chat-renewed": begun - active - set(journal.closed)}
    found: Rows = {}
    for rule, chats in ended.items():
        for user, chat in chats:
            found |= message(rule, {"PK": user, "chat_id": chat, "ai_version": version[chat]})
    for user in {user for user, _ in journal.created}:
        found |= message("greeting", {"user": user})
    return found
