"""Whether the views hold what the source table determines, recomputed from its history."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from distributary.derive.delta import is_member
from distributary.derive.reader import ViewReader
from distributary.derive.view import View
from distributary.stream.codec import decode_item
from tests.simulation.tables import Table
from tests.simulation.viewpool import Pooled, Rows

HIDDEN = ("pk", "sk", "_distributary_version", "_distributary_group", "_distributary_revision")


def check_settled(client: Any, derived: str, table: Table, pooled: Sequence[Pooled], views: Sequence[View]) -> None:
    """Fails unless they do; an empty table leaves no row at all, counted members included."""
    rows = scanned(client, derived)
    stands, right = shown(rows), recomputed(table, pooled)
    for view in views:
        reader = ViewReader(client, derived, view)
        if getattr(view.declared, "shards", 1) > 1:
            total = reader.get()
            stands |= {("ALL", "ALL"): total} if total else {}
        if getattr(view.declared, "rows", False):
            check_ranked(reader, table, next(each for each in pooled if each.declared.name == view.name), view)
    assert stands == right, f"\n  stands {stands}\n  right  {right}"
    assert table.items or right or not rows, f"left over {rows}"


def check_ranked(reader: ViewReader, table: Table, ranked: Pooled, view: View) -> None:
    """Fails unless all entries of a Top's groups are read, in order, page by page."""
    images = [image for name in table.history if (image := _image(table, ranked, name)) and "when" in image]
    for status in {image["status"]["S"] for image in images if "status" in image}:
        own = [image for image in images if image.get("status") == {"S": status}]
        own.sort(key=lambda image: (Decimal(image["when"]["N"]), image["id"]["S"]), reverse=True)
        entries, start = [], None
        while True:
            page = reader.top(status=status, start=start)
            entries, start = [*entries, *page.rows], page.next
            if start is None:
                break
        assert [each["id"] for each in entries] == [image["id"]["S"] for image in own], f"{view.name} {status}"


def recomputed(table: Table, pooled: Sequence[Pooled]) -> Rows:
    """What the views must hold."""
    right: Rows = {}
    for each in pooled:
        right |= each.rows([image for name in table.history if (image := _image(table, each, name))])
    return right


def shown(rows: Sequence[dict[str, Any]]) -> Rows:
    """What a reader sees of the rows, but for shards."""
    visible = [row for row in rows if not is_member(row) and "%s" not in row["pk"]["S"]]
    return {
        (row["pk"]["S"], row["sk"]["S"]): {n: v for n, v in decode_item(row).items() if n not in HIDDEN}
        for row in visible
    }


def scanned(client: Any, table: str) -> list[dict[str, Any]]:
    """All items of a table."""
    answer = client.scan(TableName=table)
    items: list[dict[str, Any]] = answer["Items"]
    while "LastEvaluatedKey" in answer:
        answer = client.scan(TableName=table, ExclusiveStartKey=answer["LastEvaluatedKey"])
        items += answer["Items"]
    return items


def _image(table: Table, each: Pooled, name: str) -> dict[str, Any] | None:
    """The item's newest image that the view can take; a delete by TTL is none if the view keeps such items."""
    for _, image, expired in reversed(table.history[name]):
        if expired and each.declared.on_expiry == "keep":
            continue
        if image is None or not each.wants(image):
            return None
        if each.takes(image):
            return image
    return None
