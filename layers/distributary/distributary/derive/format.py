"""The format of the rows that the ledger reads before it writes: a row of a later release is refused."""

from distributary.derive.delta import Row, is_member
from distributary.stream import version as versions
from distributary.stream.codec import Typed
from distributary.stream.format import FORMAT_ATTRIBUTE, check_format, format_of

FORMAT = 1
"""Of the ledger's rows, groups and counted members. Release 0.1 wrote none, which is 0, and the same content under
ledger ids without the source table."""

STATE = "_distributary_group"
"""The attribute of a group's row that holds what the visible attributes are made from, and the row's format."""

WRITTEN: dict[str, Typed] = {FORMAT_ATTRIBUTE: {"N": str(FORMAT)}}
"""What a row of this release holds beside its content."""


UNFINISHED: dict[str, Typed] = {"unfinished": {"BOOL": True}}
"""What the ledger's row of an item holds while its version is written in several transactions, and not all are."""

_KEPT, _NAME = "kept", "name"


def entry_name(row: Row) -> str:
    """What the id of a ledger's row names, view and item, also where it is a digest."""
    return str(row.get(_NAME, row["id"])["S"])


def named(id: str, name: str) -> dict[str, Typed]:
    """A name as the ledger's row holds it: `name` (S), absent if the id says it."""
    return {_NAME: {"S": name}} if name != id else {}


def mark_of(row: Row) -> str:
    """The mark of what the ledger's row says, see `version.KEPT`; empty if there is none."""
    kept = row.get(_KEPT, {}).get("BOOL")
    return "" if kept is None else versions.KEPT if kept else versions.LIVE


def marked(mark: str) -> dict[str, Typed]:
    """A mark as the ledger's row holds it: `kept` (BOOL), absent if there is none."""
    return {_KEPT: {"BOOL": mark == versions.KEPT}} if mark else {}


def check_ledger_row(row: Row) -> Row:
    """The row, which may be empty. Raises ConfigError if a later release wrote it."""
    check_format("a row of the ledger", format_of(row), FORMAT)
    return row


def check_derived_row(row: Row) -> Row:
    """The row: a group's, a counted member's, or one of an item, which carries no format of its own. Raises ConfigError
    if a later release wrote it."""
    if STATE in row:
        check_format("a group's row", format_of(row[STATE]["M"]), FORMAT)
    elif row and is_member(row):
        check_format("a row of a group's members", format_of(row), FORMAT)
    return row
