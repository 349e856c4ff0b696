"""What a batch of changes costs in a view, by the steps that derive takes and DynamoDB's published rules.

A row in a transaction takes 2 write units for each 1 KB, as it was or as it becomes; a write whose condition fails
takes as much as one whose condition holds. See
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html
"""

from cli.costs import Cost, Kept, Size
from cli.monthly import joins
from cli.monthly.batch import ACTIONS, LEDGER, Ends, Habits, requests
from cli.monthly.traffic import Traffic, different
from distributary.stream.described import Description


def of_batch(name: str, table: str, description: Description, traffic: Traffic, habits: Habits) -> Cost | str:
    """Of all changes of one invocation of a function that reads `table`; or why it is not known."""
    kept = Kept.of(description, habits.members)
    if kept is None:
        return "for this kind of view there is no estimate"
    ends = Ends.of(traffic, habits)
    if kept.joins:
        side = joins.side(description, table, (habits.rows or {}).get(name, 1), habits.right)
        if side is None:
            of = dict.fromkeys((description["of.table"], description["right.table"]))
            return f"it is about {' and '.join(of)}"
        return joins.of_batch(description, kept, traffic, ends, side)
    if (about := description.get("of.table", table)) != table:
        return f"it is about {about}"
    row = kept.row(traffic.size)
    if kept.register:
        return _register(ends, row)
    if kept.own:
        return _own_rows(ends, row, kept.members)
    shown = kept.group(traffic.size) if kept.content else row
    groups = (habits.groups or {}).get(name, traffic.size.items)
    return _grouped(ends, row, shown, kept, groups, traffic.size.items * habits.inside, habits.leaving)


def _register(ends: Ends, row: Size) -> Cost:
    """A put, and a look at the tombstones; of a delete the tombstone, and the row."""
    puts = ends.put + ends.changed
    return Cost(puts, puts * row.write + ends.deleted * (1 + row.write), puts + requests(puts) + 2 * ends.deleted)


def _own_rows(ends: Ends, row: Size, members: int) -> Cost:
    rows = members * (ends.all + ends.moved)
    writes = LEDGER * ends.all + 2 * rows * row.write
    return Cost(ends.all, writes, requests(ends.all) + requests(ends.all + rows))


def _grouped(ends: Ends, row: Size, shown: Size, kept: Kept, groups: int, inside: float, leaving: float) -> Cost:
    """Changes of one group share the write of its row, as long as they fit into one transaction. Before each
    transaction one request reads what it adds to, unless it is known. What is no longer an edge of its group needs a
    look at what follows it."""
    entries = kept.members * (ends.all + ends.moved)
    counted = kept.members * kept.sets * (ends.put + ends.deleted + 2 * (ends.moved + ends.reordered))
    if kept.content:
        counted += kept.members * (ends.changed - ends.moved - ends.reordered)
    met = different(entries, groups)
    written = max(met, entries / (ACTIONS - 1))
    writes = LEDGER * ends.all + 2 * written * shown.write + 2 * counted * row.write
    left = ends.deleted + ends.moved + leaving * ends.reordered
    looks = kept.edges * kept.members * left * min(1.0, groups / inside) if inside else 0.0
    transactions = requests(ends.all + written + counted)
    before = transactions if counted else min(transactions, met)
    reads = ends.all + written * shown.read + counted * row.read + looks
    return Cost(reads, writes, requests(ends.all) + before + transactions + looks)
