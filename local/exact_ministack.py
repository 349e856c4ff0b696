"""ministack, run as it is but for one fault: to its DynamoDB's conditions any two maps are equal, and any two lists.

What is written on condition that a map is as it was seen would overwrite any content. With OUTBOX in its environment,
it writes each mail that it takes into that folder.
"""

import os
from pathlib import Path
from typing import Any

from ministack import app
from ministack.services import dynamodb, ses, ses_v2

from local import outbox

_comparable = dynamodb._ddb_comparable


def comparable(value: Any) -> tuple[str, Any]:
    """A DynamoDB value as ministack compares it: its type, and what is equal only for equal values
    (https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html)."""
    match value:
        case {"M": dict(members)}:
            return "M", {name: comparable(member) for name, member in members.items()}
        case {"L": list(members)}:
            return "L", [comparable(member) for member in members]
    return _comparable(value)


if __name__ == "__main__":
    dynamodb._ddb_comparable = comparable
    if folder := os.environ.get("OUTBOX"):
        for service in (ses, ses_v2):
            outbox.install(service, ses._sent_emails, Path(folder))
    app.main()
