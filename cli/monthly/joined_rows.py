"""How many rows a right item of a Join has: counted in the tables, where the user does not say it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from cli.stack import Clients
from distributary.consumer.aws import AwsError, code_of
from distributary.derive.declarations import Join
from distributary.dynamodb.table_reader import cursors
from distributary.errors import Rejected, Unavailable
from distributary.stream.change import Image
from distributary.stream.entity import Entity

SEGMENTS, FIRST = 10, 100
"""A sample has the first items of each segment of the table, so that it is spread over its partitions."""


@dataclass(frozen=True, slots=True)
class Rows:
    """How many rows each right item of a view is taken to have; `why`: what was counted, or why nothing was."""

    view: str
    many: float
    why: str

    def line(self) -> str:
        """For people."""
        many = f"{self.many:,.0f}" if self.many >= 10 or self.many == int(self.many) else f"{self.many:,.1f}"
        noun = "row" if many == "1" else "rows"
        known = f"if you know better, give --rows {self.view}=N"
        return f"assumed: a right item of '{self.view}' has {many} {noun}: {self.why}; {known}"


def counted(joins: Iterable[Join], table: str, clients: Clients | None) -> list[Rows]:
    """Of each join that `table` is a side of. `clients`: None if AWS is not to be asked."""
    found = _Tables(table, clients) if clients is not None else None
    sides = {join.name: tuple(each.table or table for each in (join.of, join.right)) for join in joins}
    return [_counted(join, sides[join.name], found) for join in joins if table in sides[join.name]]


@dataclass(frozen=True)
class _Tables:
    """What is asked of DynamoDB, the sample of `table` only once."""

    table: str
    clients: Clients

    @cached_property
    def sample(self) -> list[Image]:
        """Raises Unavailable."""
        pages = (
            next(cursors(self.clients("dynamodb"), self.table, segment, SEGMENTS, limit=FIRST))
            for segment in range(SEGMENTS)
        )
        return [Image(item) for items, _ in pages for item in items]

    def holds(self, table: str) -> int:
        """How many items, up to six hours ago. Raises ClientError."""
        return int(self.clients("dynamodb").describe_table(TableName=table)["Table"]["ItemCount"])


def _counted(join: Join, sides: Sequence[str], tables: _Tables | None) -> Rows:
    if tables is None:
        return Rows(join.name, 1, "nothing was looked up")
    try:
        return _in_one(join, tables) if sides[0] == sides[1] else _in_two(join, sides, tables)
    except Unavailable as error:
        return _refused(join, "dynamodb:Scan", error.__cause__)
    except AwsError as error:
        return _refused(join, f"dynamodb:DescribeTable on {sides[0]} and {sides[1]}", error)


def _refused(join: Join, needed: str, error: BaseException | None) -> Rows:
    code = code_of(error) if isinstance(error, Exception) else "Unknown"
    return Rows(join.name, 1, f"nothing could be counted ({code}): allow {needed}")


def _in_one(join: Join, tables: _Tables) -> Rows:
    lefts, rights = (sum(_of(entity, tables.sample)) for entity in (join.of, join.right))
    among = f"among {len(tables.sample):,} of {tables.table}"
    if not rights:
        return Rows(join.name, max(1, lefts), f"at least, with {lefts:,} left items and no right item {among}")
    return Rows(join.name, max(1.0, lefts / rights), f"there are {lefts:,} left and {rights:,} right items {among}")


def _in_two(join: Join, sides: Sequence[str], tables: _Tables) -> Rows:
    lefts, rights = map(tables.holds, sides)
    return Rows(join.name, max(1.0, lefts / max(1, rights)), f"{lefts:,} items in {sides[0]}, {rights:,} in {sides[1]}")


def _of(entity: Entity, items: Iterable[Image]) -> Iterator[bool]:
    """Whether each item is of the entity; what its `where` fails on is parked, and has no row."""
    for item in items:
        try:
            yield entity.claims(item)
        except Rejected:
            yield False
