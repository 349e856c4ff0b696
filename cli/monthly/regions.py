"""What a batch of changes costs with multi-active: by docs/functions/multi-active.md, where the tests' counts are."""

from cli.costs import Cost, Size
from cli.monthly.traffic import Traffic
from distributary.replicate.declarations import MultiActive
from distributary.replicate.multi_active.merge_rules import Merge

STAMP_BYTES = 200
"""Of what a row has beside the item, at most."""


def of_batch(declared: MultiActive, traffic: Traffic) -> Cost:
    """Of the changes of one invocation in one region, in all regions. A merge state, which is compressed, is taken to
    be as large as a row."""
    others = len(declared.regions) - 1
    row = Size(1, traffic.size.bytes + STAMP_BYTES)
    put, changed, deleted = (traffic.distinct * share for share in (traffic.inserts, traffic.updates, traffic.deletes))
    if isinstance(declared.rule, Merge):
        each = Cost((2 + 3 * others) * row.read, (1 + 2 * others) * row.write, 3 + 4 * others)
        gone = Cost(each.reads, (1 + 3 * others) * row.write, 3 + 5 * others)
        return each.times(put + changed) + gone.times(deleted)
    pushed = Cost((1 + row.read) * others + others, row.write * others, 3 * others)
    made, edited = Cost(1, 0, 1), Cost()
    if declared.rule.by_stream:
        made, edited = Cost(4 + row.read, row.write, 4), Cost(2 + row.read, row.write, 3)
    gone = Cost(4 + 3 * others, 1 + others * (1 + row.write), 4 + 4 * others)
    return (pushed + made).times(put) + (pushed + edited).times(changed) + gone.times(deleted)


def sent(declared: MultiActive, traffic: Traffic) -> float:
    """Bytes to other regions, of one invocation."""
    puts = traffic.distinct * (1 - traffic.deletes)
    return puts * (traffic.size.bytes + STAMP_BYTES) * (len(declared.regions) - 1)
