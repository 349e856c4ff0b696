"""Versions of stored formats: what an earlier release wrote is upgraded, what a later one wrote is refused."""

from collections.abc import Mapping

from distributary.errors import ConfigError
from distributary.stream.codec import Typed

FORMAT_ATTRIBUTE = "format"
"""The attribute of a row in which the version of its format is kept, as a number; release 0.1 wrote none: 0."""


def format_of(row: Mapping[str, Typed]) -> int:
    """Of a row in DynamoDB JSON. Raises ConfigError if the attribute holds no format."""
    text = row.get(FORMAT_ATTRIBUTE, {"N": "0"}).get("N", "")
    if not (text.isascii() and text.isdigit()):
        raise ConfigError(f"a row's attribute '{FORMAT_ATTRIBUTE}' is no number: another program writes to this table")
    return int(text)


def check_format(what: str, written: int, known: int) -> None:
    """Raises ConfigError if `what` was written in a later format than this release knows."""
    if written > known:
        raise ConfigError(
            f"{what} has format {written}, and this release reads formats up to {known}: "
            "a later release wrote it; deploy that release again instead of rolling back"
        )
