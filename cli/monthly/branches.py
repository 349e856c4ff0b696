"""What each branch takes in a month: units, requests, Lambda, bytes, and dollars."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from cli.costs import Cost, Size
from cli.monthly import regions
from cli.monthly.batch import Habits
from cli.monthly.prices import Prices
from cli.monthly.traffic import MONTH, Traffic
from cli.monthly.views import of_batch
from distributary.replicate.declarations import MultiActive
from distributary.stream.described import Description

GB = 1e9
MEMORY_GB = 0.5
"""Of each function: MemorySize in template.yaml."""

INVOCATION_SECONDS, CHANGE_SECONDS = 0.030, 0.0007
"""Of an invocation, and of each change in it, where the user does not say: assumed. CloudWatch's Duration has yours."""

LINE_BYTES = 200
"""Of a line of a bulk request or of an archive, beside what the item holds."""

ARCHIVE_SECONDS, ARCHIVE_BYTES = 60.0, 6_000_000
"""Of one file: ArchiveBatchingWindowSeconds, and what Lambda hands to an invocation."""


@dataclass(frozen=True, slots=True)
class Monthly:
    """Of a view, or of what a branch takes beside its views. `gb_seconds` and `invocations`: of Lambda; `puts`: to S3;
    `stored_gb`: in S3 after this month, before compression; `search_gb`: to OpenSearch, and `search_lines` of it;
    `out_gb`: to another region; `mails`. `why`: why it is not known; `assumed`: what was, beside what the user said."""

    branch: str
    part: str
    writes: float = 0.0
    reads: float = 0.0
    requests: float = 0.0
    gb_seconds: float = 0.0
    invocations: float = 0.0
    puts: float = 0.0
    stored_gb: float = 0.0
    search_gb: float = 0.0
    search_lines: float = 0.0
    out_gb: float = 0.0
    mails: float = 0.0
    why: str = ""
    assumed: str = ""

    def dollars(self, prices: Prices) -> float:
        """Without OpenSearch, which is billed by its nodes, not by its traffic."""
        return (
            self.writes * prices.million_writes / 1e6
            + self.reads * prices.million_reads / 1e6
            + self.gb_seconds * prices.gb_seconds / 1e6
            + self.invocations * prices.million_invocations / 1e6
            + self.puts * prices.thousand_puts / 1e3
            + self.stored_gb * prices.gb_month
            + self.out_gb * prices.gb_out
            + self.mails * prices.thousand_mails / 1e3
        )

    def figures(self) -> dict[str, float]:
        """What it takes, by name, without what it takes nothing of."""
        named = (each.name for each in fields(self) if each.name not in ("branch", "part", "why", "assumed"))
        return {name: value for name in named if (value := getattr(self, name))}

    def as_json(self, prices: Prices | None) -> dict[str, Any]:
        """Plain values."""
        said: dict[str, Any] = {"branch": self.branch, "part": self.part, **self.figures()}
        said |= {"assumed": self.assumed} if self.assumed else {}
        if self.why:
            return {**said, "unknown": self.why}
        return {**said, "dollars": round(self.dollars(prices), 4)} if prices else said


def of_derive(views: Mapping[str, Description], table: str, traffic: Traffic, habits: Habits) -> list[Monthly]:
    """Each view, also those of other tables."""
    found = []
    for name, description in views.items():
        cost = of_batch(name, table, description, traffic, habits)
        if isinstance(cost, Cost):
            found.append(_monthly("derive", name, cost, traffic))
        else:
            found.append(Monthly("derive", name, why=cost))
    return found


def of_index(indexes: list[str], traffic: Traffic) -> list[Monthly]:
    """A line for each item of a batch that changed, with the whole document, before compression."""
    items = traffic.distinct * traffic.invocations * MONTH
    size = traffic.size.bytes * (1 - traffic.deletes) + LINE_BYTES
    return [Monthly("index", name, search_lines=items, search_gb=items * size / GB) for name in indexes]


def of_welcome(rules: list[str], traffic: Traffic) -> list[Monthly]:
    """As if each rule wrote about every insert: a claim, its confirmation, and a look at the suppressions."""
    messages = traffic.rate * traffic.inserts * MONTH
    return [Monthly("welcome", name, 2 * messages, 5 * messages, 3 * messages, mails=messages) for name in rules]


def of_mirror(traffic: Traffic) -> list[Monthly]:
    """Of each item a put of its size and a look at the tombstones; of a delete a tombstone as well."""
    row = Size(1, traffic.size.bytes + 50)
    puts, deletes = traffic.distinct * (1 - traffic.deletes), traffic.distinct * traffic.deletes
    cost = Cost(puts, puts * row.write + deletes * (1 + row.write), puts + puts / 100 + 2 * deletes)
    sent = puts * row.bytes * traffic.invocations * MONTH / GB
    return [_monthly("replicate", "mirror", cost, traffic, out_gb=sent)]


def of_regions(declared: MultiActive, traffic: Traffic) -> list[Monthly]:
    """Of the edits of this table, in all regions; the other regions' edits are in their own tables' costs."""
    cost, sent = regions.of_batch(declared, traffic), regions.sent(declared, traffic)
    return [_monthly("replicate", "regions", cost, traffic, out_gb=sent * traffic.invocations * MONTH / GB)]


def of_archive(traffic: Traffic) -> list[Monthly]:
    """A file for each window or each 6 MB. An update has two images."""
    line = LINE_BYTES + traffic.size.bytes * (1 + traffic.updates)
    size = traffic.rate * line * MONTH
    files = max(min(traffic.rate, 1 / ARCHIVE_SECONDS) * MONTH, size / ARCHIVE_BYTES)
    seconds = files * 0.3
    return [
        Monthly("archive", "files", puts=files, stored_gb=size / GB, invocations=files, gb_seconds=seconds * MEMORY_GB)
    ]


def of_lambda(branch: str, traffic: Traffic, milliseconds: float | None) -> Monthly:
    """The invocations of a branch. `milliseconds`: of one, if the user knows."""
    taken = INVOCATION_SECONDS + CHANGE_SECONDS * traffic.batch if milliseconds is None else milliseconds / 1000
    invocations = traffic.invocations * MONTH
    return Monthly(branch, "Lambda", invocations=invocations, gb_seconds=invocations * taken * MEMORY_GB)


def _monthly(branch: str, part: str, cost: Cost, traffic: Traffic, out_gb: float = 0.0) -> Monthly:
    every = cost.times(traffic.invocations * MONTH)
    return Monthly(branch, part, every.writes, every.reads, every.requests, out_gb=out_gb)
