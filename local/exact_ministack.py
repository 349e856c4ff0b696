"""ministack, run as it is but for three faults of its DynamoDB.

To its conditions any two maps are equal, and any two lists: what is written on condition that a map is as it was seen
would overwrite any content. It finds an item by a number in its key only in one spelling of that number. And its TTL
deletes without a stream record. With OUTBOX in its
environment, it writes each mail that it takes into that folder.
"""

import os
from pathlib import Path
from typing import Any

from ministack import app
from ministack.services import dynamodb, ses, ses_v2

from local import expiry, outbox

_comparable = dynamodb._ddb_comparable
_key_value = dynamodb._extract_key_val


def comparable(value: Any) -> tuple[str, Any]:
    """A DynamoDB value as ministack compares it: its type, and what is equal only for equal values
    (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html)."""
    match value:
        case {"M": dict(members)}:
            return "M", {name: comparable(member) for name, member in members.items()}
        case {"L": list(members)}:
            return "L", [comparable(member) for member in members]
    return _comparable(value)


def key_value(typed: Any) -> Any:
    """A key attribute as ministack looks it up; 7.0 and 7E0 are the number 7."""
    value = _key_value(typed)
    if isinstance(typed, dict) and "N" in typed:
        return dynamodb._ddb_canonicalize_number(value) or value
    return value


if __name__ == "__main__":
    dynamodb._ddb_comparable = comparable
    dynamodb._extract_key_val = key_value
    expiry.install()
    if folder := os.environ.get("OUTBOX"):
        for service in (ses, ses_v2):
            outbox.install(service, ses._sent_emails, Path(folder))
    app.main()
