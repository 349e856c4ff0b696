"""The event by which a command gives an event branch records again: what is right there depends on each change.

`{"distributary": {"replay": [RECORD, ...], "even_if_old": false}}` with records as a stream delivers them. The answer
is `{"outcomes": [{"status": "Applied", "cause": ""}, ...]}`, in order. Nothing is parked: what fails stays where the
command found it. With `even_if_old`, no record is too old for its branch.
"""

from collections.abc import Callable, Mapping
from typing import Any

from distributary.errors import ConfigError
from distributary.stream import records as stream_records
from distributary.stream.change import Change, Undecodable, Unlisted

REPLAY = "replay"

LATE = "older than its rule allows: no message is sent that late"
"""Why a record is ignored that its branch would take with `even_if_old`."""

MOST_RECORDS = 1000
"""Of one event."""


def is_known(command: Any) -> bool:
    """Whether a command is this one."""
    return isinstance(command, Mapping) and REPLAY in command


def entries(command: Mapping[str, Any], generation: Callable[[str], int]) -> list[Change | Undecodable | Unlisted]:
    """Its records, decoded. Raises ConfigError."""
    records = command[REPLAY]
    if not isinstance(records, list) or len(records) > MOST_RECORDS:
        raise ConfigError(f"the command has no list 'replay' of at most {MOST_RECORDS} records")
    found = stream_records.decode({"Records": records}, generation)
    if command.get("even_if_old") is not True:
        return found
    return [each._replace(created=None) if isinstance(each, Change) else each for each in found]
