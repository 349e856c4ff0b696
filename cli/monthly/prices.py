"""A region's prices, from a file that users may edit or replace."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cli.errors import UsageFault

FILE = Path(__file__).with_name("prices.toml")


@dataclass(frozen=True, slots=True)
class Prices:
    """Dollars. `as_of`: when they were written down. See prices.toml for what each is of."""

    as_of: str
    million_writes: float
    million_reads: float
    gb_seconds: float
    million_invocations: float
    thousand_puts: float
    gb_month: float
    gb_out: float
    thousand_mails: float


def read(file: Path, region: str) -> Prices | None:
    """None if the file has no such region. Raises UsageFault for a file that cannot be read, or lacks a price."""
    try:
        with file.open("rb") as opened:
            found: dict[str, Any] = tomllib.load(opened)
    except OSError as error:
        raise UsageFault(f"--prices {file}: {error.strerror}") from None
    except ValueError as error:
        raise UsageFault(f"--prices {file}: {error}") from None
    regions = found.get("regions", {})
    if region not in regions:
        return None
    given: Mapping[str, Any] = {"as_of": str(found.get("as_of", "no date")), **regions[region]}
    wanted = {each.name for each in fields(Prices)}
    if missing := sorted(wanted - given.keys()):
        raise UsageFault(f"--prices {file}: [regions.{region}] lacks {', '.join(missing)}")
    wrong = [each for each in sorted(wanted - {"as_of"}) if not isinstance(given[each], int | float) or given[each] < 0]
    if wrong:
        raise UsageFault(f"--prices {file}: [regions.{region}]: {wrong[0]} is no price")
    return Prices(**{name: given[name] for name in wanted})
