"""A change: what it did to its item, which declarations it concerns and why, and what became of it in each branch."""

from typing import Any

from cli.console import explain
from cli.console.attached import Attached
from cli.console.difference import difference
from cli.console.history import Seen
from cli.errors import DeclarationFaults
from distributary.stream.change import Change
from distributary.stream.keys import table_of


def record(attached: Attached, seen: Seen) -> dict[str, Any]:
    """All that is known of a change, as plain values. Attributes are DynamoDB JSON."""
    given = seen.event_record()
    body = given.get("dynamodb") or {}
    return {
        **attached.history.shown(seen),
        "table": table_of(seen.source),
        "keys": body.get("Keys"),
        "sequence": body.get("SequenceNumber"),
        "expired": (given.get("userIdentity") or {}).get("principalId") == "dynamodb.amazonaws.com",
        "difference": difference(body.get("OldImage"), body.get("NewImage")),
        **_concerns(attached, seen),
    }


def _concerns(attached: Attached, seen: Seen) -> dict[str, Any]:
    """`unreadable`: why the record is no change; `faults`: of declarations that could not be asked."""
    entry = attached.change(seen)
    if not isinstance(entry, Change):
        return {"version": "", "reasons": [], "faults": [], "unreadable": entry.cause}
    found, faults = list[dict[str, Any]](), list[str]()
    for branch in attached.functions:
        try:
            declared = attached.declared(branch)
        except DeclarationFaults as error:
            faults += error.faults
            continue
        found += [reason.as_json() for reason in explain.reasons(branch, declared, entry)]
    return {"version": str(entry.version), "reasons": found, "faults": faults, "unreadable": ""}
