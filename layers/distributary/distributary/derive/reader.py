"""Derived tables as an application reads them: keys made and read by the declarations, and rows as plain values.

It needs boto3 and the declarations, and nothing else of what the functions run on.
"""

import base64
import binascii
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from distributary.consumer.deadline import FOREVER
from distributary.derive.contribution import RANK, shards_of
from distributary.derive.declarations import Aggregate, Declaration, Top
from distributary.derive.delta import Key, Row, member_partition, typed_key
from distributary.derive.format import STATE
from distributary.derive.groups import REVISION, Group
from distributary.derive.join_rows import OWN as JOINED
from distributary.derive.totals import combined
from distributary.derive.validation import check
from distributary.derive.view import KEY_ATTRIBUTES, View
from distributary.dynamodb.requests import batch_get, called
from distributary.errors import Rejected
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.codec import Typed, Value, decode, decode_item, encode
from distributary.stream.keys import PARTITION_KEY_BYTES

_LAST = "\U0010ffff"
"""No text sorts behind it."""
_OWN = {*KEY_ATTRIBUTES, REPLICA_VERSION, STATE, REVISION, *JOINED}


class Client(Protocol):
    """boto3's client of DynamoDB."""

    def batch_get_item(self, **arguments: Any) -> Mapping[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html"""

    def query(self, **arguments: Any) -> Mapping[str, Any]:
        """https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_Query.html"""


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows of a query, in order. `next` is what `start` takes to go on behind them, None if there are no more;
    there may turn out to be none."""

    rows: list[dict[str, Value]]
    next: str | None


class DerivedTable(Mapping[str, "ViewReader"]):
    """The views of a derived table by their names: `DerivedTable(client, "shop-derived", VIEWS)["sales"]`.

    Args:
        client: A boto3 client of DynamoDB.
        table: The derived table's name.
        declarations: The views, as `functions/derive/views.py` declares them.
        before: Of views whose `shards` were changed the number before, by name. `get` reads the rows of both: until a
            rebuild has moved all.

    Raises:
        ConfigError: A declaration is wrong.
    """

    def __init__(
        self,
        client: Client,
        table: str,
        declarations: Sequence[Declaration],
        before: Mapping[str, int] | None = None,
    ) -> None:
        views, former = check(declarations), before or {}
        self._views = {view.name: ViewReader(client, table, view, former.get(view.name)) for view in views}

    def __getitem__(self, name: str) -> "ViewReader":
        if name not in self._views:
            raise KeyError(f"no view is called '{name}': there are {', '.join(self._views)}")
        return self._views[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._views)

    def __len__(self) -> int:
        return len(self._views)


@dataclass(frozen=True, slots=True)
class ViewReader:
    """The rows of one view.

    Each method takes the attributes that the view's keys name, as keyword arguments or, where a name is no keyword, as
    a mapping: `get(customer="ada")`, `get({"each.sku": "a-1"})`. They raise ValueError for attributes that are missing,
    unknown or of the wrong type, and Unavailable if DynamoDB does not answer.
    """

    client: Client
    table: str
    view: View
    before: int | None = None

    def key(self, values: Mapping[str, Value] | None = None, /, **more: Value) -> dict[str, str]:
        """The key of the row, as boto3's `Table` takes it. Not of a view with shards: its rows have several.

        Returns:
            `{"pk": "CUSTOMER#ada", "sk": "TOTALS"}`.
        """
        self._refuse_shards()
        return dict(zip(KEY_ATTRIBUTES, self._key(self._given(values, more)), strict=True))

    def parse(self, row: Mapping[str, Any]) -> dict[str, Value]:
        """The attributes that a row's key holds.

        Args:
            row: A row or a key, with `pk` and `sk` as strings, or in DynamoDB JSON.

        Raises:
            ValueError: The view writes no such key.
        """
        pk, sk = (each["S"] if isinstance(each := row[name], Mapping) else each for name in KEY_ATTRIBUTES)
        found = self.view.read((pk, sk))
        if found is None:
            raise ValueError(f"view '{self.view.name}' writes no row under pk '{pk}', sk '{sk}'")
        return _decoded(found)

    def get(
        self, values: Mapping[str, Value] | None = None, /, *, consistent: bool = False, **more: Value
    ) -> dict[str, Value] | None:
        """One row: its attributes, and those that its key holds. A group with shards is read whole, and added up.

        It costs half a read unit for up to 4 KB of a row or a shard, and one if `consistent`. Shards are read in one
        BatchGetItem (https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html), but not at
        one moment, so a total may miss what is written meanwhile.

        Returns:
            Sums are exact Decimals, also beyond the 38 digits that one row can hold; averages have 38 digits. None if
            there is no such row, or the group is empty.
        """
        given = self._given(values, more)
        declared, key = self.view.declared, self._key(given)
        keys = [key]
        if isinstance(declared, Aggregate):
            spread = [declared, *([] if self.before is None else [replace(declared, shards=self.before)])]
            keys = list(dict.fromkeys(shard for each in spread for shard in shards_of(each, key)))
        rows = batch_get(self.client, self.table, map(typed_key, keys), FOREVER, consistent=consistent)
        if not rows:
            return None
        shown = combined(declared, rows) if isinstance(declared, Aggregate) and len(keys) > 1 else _shown(rows[0])
        return {**_decoded(self.view.read(key) or {}), **shown}

    def query(
        self,
        values: Mapping[str, Value] | None = None,
        /,
        *,
        between: tuple[Value | None, Value | None] = (None, None),
        reverse: bool = False,
        limit: int = 100,
        start: str | None = None,
        consistent: bool = False,
        **more: Value,
    ) -> Page:
        """The rows of one partition, in the order of their sort keys.

        All attributes of `pk` must be given. Of those of `sk`, the first ones may be: the rows are then those whose key
        begins so. Rows that other views keep in the partition are left out.

        Args:
            values: Attributes whose names are no keywords.
            between: The least and the greatest value of the first attribute of `sk` that is not given, both included;
                None leaves an end open. A text at the upper end includes what begins with it: `("2026-11", "2026-12")`
                is November and December.
            reverse: From the last row to the first.
            limit: At most so many rows in a page, from 1 on.
            start: The `next` of the page before.
            consistent: Reads what was written last, at twice the read units.
            more: The attributes.

        Raises:
            ValueError: See `ViewReader`; also for a view with shards, whose groups `get` reads one at a time, and for a
                `start` that is not of this query.
        """
        given = self._given(values, more)
        if limit < 1:
            raise ValueError(f"limit is {limit}: give at least 1")
        pk, low, high = self._range(given, between)
        request = _request(self.table, pk, low, high) | {"ScanIndexForward": not reverse, "ConsistentRead": consistent}
        if start is not None:
            request["ExclusiveStartKey"] = typed_key((pk, _place(start, low, high)))
        rows: list[dict[str, Value]] = []
        while True:
            page = called(self.client.query, "query", **request, Limit=limit - len(rows))
            for row in page["Items"]:
                if (named := self.view.read((row["pk"]["S"], row["sk"]["S"]))) is not None:
                    rows.append({**_decoded(named), **_shown(row)})
            behind = page.get("LastEvaluatedKey")
            if not behind or len(rows) == limit:
                return Page(rows, _token(behind["sk"]["S"]) if behind else None)
            request["ExclusiveStartKey"] = behind

    def top(
        self,
        values: Mapping[str, Value] | None = None,
        /,
        *,
        limit: int | None = None,
        start: str | None = None,
        consistent: bool = False,
        **more: Value,
    ) -> Page:
        """The first entries of a group of a `Top`, in its order. All attributes of the keys must be given.

        A list is read with its group's row, by one request of half a read unit per 4 KB. With `rows` in the
        declaration, entries are read by a query: half a read unit per 4 KB of them, and one for the group's row; they
        are then not of one moment.

        Args:
            values: Attributes whose names are no keywords.
            limit: At most so many; `n` of the declaration if None. With `rows` it may be more.
            start: With `rows`, the `next` of the page before.
            consistent: Reads what was written last, at twice the read units.
            more: The attributes.

        Returns:
            The entries; none if there is no such group.

        Raises:
            ValueError: See `ViewReader`; also for a view that is no `Top`, for a `limit` below 1, and for a `start`
                that is not of this group or of a list, which has one page.
        """
        declared = self.view.declared
        if not isinstance(declared, Top):
            raise ValueError(f"view '{self.view.name}' is no Top: read it with get")
        key, many = self._key(self._given(values, more)), declared.n if limit is None else limit
        if many < 1:
            raise ValueError(f"limit is {many}: give at least 1")
        if declared.rows:
            return self._ranked(declared, key, many, start, consistent)
        if start is not None:
            raise ValueError(f"view '{self.view.name}' shows a list, which has one page: leave out start")
        rows = batch_get(self.client, self.table, [typed_key(key)], FOREVER, consistent=consistent)
        entries = _shown(rows[0]).get(declared.into) if rows else None
        return Page(entries[:many] if isinstance(entries, list) else [], None)

    def _ranked(self, declared: Top, key: Key, many: int, start: str | None, consistent: bool) -> Page:
        """Once more if the group was meanwhile switched over to another incarnation of its rows."""
        while True:
            incarnation = self._incarnation(key, consistent)
            if incarnation is None:
                return Page([], None)
            pk = member_partition(self.view.name, key, RANK, incarnation)
            request: dict[str, Any] = {
                "TableName": self.table,
                "KeyConditionExpression": "pk = :pk",
                "ExpressionAttributeValues": {":pk": {"S": pk}},
                "ScanIndexForward": declared.least,
                "ConsistentRead": consistent,
            }
            if start is not None:
                request["ExclusiveStartKey"] = typed_key((pk, _place(start, "", _LAST)))
            page = called(self.client.query, "query", **request, Limit=many)
            behind = page.get("LastEvaluatedKey")
            if self._incarnation(key, consistent) in (incarnation, None):
                rows = [decode_item(row["value"]["M"]) for row in page["Items"]]
                return Page(rows, _token(behind["sk"]["S"]) if behind else None)

    def _incarnation(self, key: Key, consistent: bool) -> str | None:
        rows = batch_get(self.client, self.table, [typed_key(key)], FOREVER, consistent=consistent)
        return Group(rows[0]).incarnation if rows else None

    def _key(self, given: Mapping[str, Value]) -> Key:
        try:
            return self.view.key(given)
        except Rejected as error:
            raise ValueError(f"view '{self.view.name}': {error}") from None

    def _refuse_shards(self) -> None:
        if isinstance(self.view.declared, Aggregate) and self.view.declared.shards > 1:
            raise ValueError(f"view '{self.view.name}' has shards: read each group with get")

    def _given(self, values: Mapping[str, Value] | None, more: Mapping[str, Value]) -> dict[str, Value]:
        """Checked, and as an item would hold them."""
        given = {**(values or {}), **more}
        known = (*self.view.pk.attributes, *self.view.sk.attributes)
        for name in given:
            if name not in known:
                named = ", ".join(dict.fromkeys(known)) or "no attributes"
                raise ValueError(f"view '{self.view.name}': its keys have no '{name}'; they name {named}")
        return {name: self._value(name, value) for name, value in given.items()}

    def _value(self, name: str, value: Value) -> Value:
        try:
            return decode(encode(value, name), name)
        except Rejected as error:
            raise ValueError(f"view '{self.view.name}': {error}") from None

    def _range(
        self, given: Mapping[str, Value], between: tuple[Value | None, Value | None]
    ) -> tuple[str, str, str | None]:
        """The partition, and the least and the greatest sort key; no greatest if one key alone is asked for."""
        self._refuse_shards()
        name, sk = self.view.name, self.view.sk
        try:
            pk = self.view.pk.render(given, PARTITION_KEY_BYTES)
            text, rest = sk.beginning(given)
            if not rest:
                if between != (None, None):
                    raise ValueError(f"view '{name}': between has nothing to choose: the whole sort key is given")
                return pk, text, None
            if late := [each for each in rest[1:] if each in given]:
                raise ValueError(f"view '{name}': give '{rest[0]}' too: it stands before '{late[0]}' in the sort key")
            low, high = (
                text if end is None else text + sk.field(rest[0], self._value(rest[0], end)) for end in between
            )
        except Rejected as error:
            raise ValueError(f"view '{name}': {error}") from None
        return pk, low, high + _LAST


def _request(table: str, pk: str, low: str, high: str | None) -> dict[str, Any]:
    values: dict[str, Any] = {":pk": {"S": pk}, ":low": {"S": low}}
    if high is None:
        condition = "sk = :low"
    elif low:
        condition, values[":high"] = "sk BETWEEN :low AND :high", {"S": high}
    else:
        condition, values = "sk <= :high", {":pk": {"S": pk}, ":high": {"S": high}}
    return {
        "TableName": table,
        "KeyConditionExpression": f"pk = :pk AND {condition}",
        "ExpressionAttributeValues": values,
    }


def _token(sk: str) -> str:
    return base64.urlsafe_b64encode(sk.encode()).decode().rstrip("=")


def _place(start: str, low: str, high: str | None) -> str:
    try:
        sk = base64.b64decode(start + "=" * (-len(start) % 4), altchars=b"-_", validate=True).decode()
    except (ValueError, binascii.Error):
        sk = ""
    if high is None or not sk or not low <= sk <= high:
        raise ValueError("start is not of this query: give the 'next' of its page before")
    return sk


def _shown(row: Row) -> dict[str, Value]:
    return {name: value for name, value in decode_item(row).items() if name not in _OWN}


def _decoded(named: Mapping[str, Typed]) -> dict[str, Value]:
    return {name: decode(typed, name) for name, typed in named.items()}
