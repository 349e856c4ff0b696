"""The page's Athena queries, run by DuckDB on an archive that holds changes twice."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.docs.pages import DOCS, blocks
from tests.fakes.streaming import CREATED
from tests.unit.archives import bucket
from tests.unit.records import change

VIEW, *QUERIES = blocks(DOCS / "functions/archive.md", "sql")
COUNTS, LIFE, STATUSES, EXPIRED = QUERIES
TTL = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
ATHENA = """
CREATE MACRO json_extract_scalar(text, path) AS json_extract_string(text, path);
CREATE SCHEMA "distributary-archive";
CREATE VIEW "distributary-archive".changes AS
SELECT "Metadata"::varchar AS metadata, "Keys"::varchar AS keys, "OldImage"::varchar AS oldimage,
  "NewImage"::varchar AS newimage, "day"::varchar AS day, "hour"::integer AS hour
FROM read_json('{files}', columns = {{Metadata: 'JSON', Keys: 'JSON', OldImage: 'JSON', NewImage: 'JSON'}},
  format = 'newline_delimited', hive_partitioning = true);
"""
"""What Athena has, and the Glue table's columns."""


def status(text: str) -> dict[str, Any]:
    return {"status": {"S": text}}


@pytest.fixture
def athena(tmp_path: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    changes = [
        change(0, "INSERT", user="u-1001", new=status("new")),
        change(1, "MODIFY", user="u-1001", old=status("new"), new=status("active")),
        change(2, "INSERT", user="u-2", new=status("new")),
        change(3, "MODIFY", user="u-2", old=status("new"), new={**status("new"), "userName": {"S": "Ada"}}),
        change(4, "REMOVE", user="u-1001", old=status("active"), userIdentity=TTL),
        change(5, "REMOVE", user="u-2", old=status("new")),
    ]
    hours = (0, 0, 0, 3600, 3600, 3600)
    timed = [each._replace(created=float(CREATED + hour)) for each, hour in zip(changes, hours, strict=True)]
    for name, body in bucket([timed[:4], timed[2:], timed, timed[1:5]]).state.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
    with duckdb.connect() as connection:
        connection.execute(ATHENA.format(files=f"{tmp_path}/users/AWSDynamoDB/data/*/*/*.json.gz"))
        connection.execute(VIEW)
        yield connection


def test_the_archive_holds_changes_twice_and_the_view_each_once(athena):
    (several,) = athena.execute('SELECT count(*) FROM "distributary-archive".changes').fetchone()
    assert several > 6
    assert athena.execute('SELECT count(*) FROM "distributary-archive".once').fetchone() == (6,)


def test_each_hours_changes_are_counted_by_kind(athena):
    assert athena.execute(COUNTS).fetchall() == [
        ("2026-11-22", 10, "INSERT", 2),
        ("2026-11-22", 10, "MODIFY", 1),
        ("2026-11-22", 11, "MODIFY", 1),
        ("2026-11-22", 11, "REMOVE", 2),
    ]


def test_the_life_of_one_item_is_in_order(athena):
    found = athena.execute(LIFE).fetchall()
    assert [kind for _, kind, _, _ in found] == ["INSERT", "MODIFY", "REMOVE"]
    assert found[1][2:] == (
        '{"user_id":{"S":"u-1001"},"status":{"S":"new"}}',
        '{"user_id":{"S":"u-1001"},"status":{"S":"active"}}',
    )


def test_a_changed_attribute_is_shown_before_and_after(athena):
    assert athena.execute(STATUSES).fetchall() == [("u-1001", "new", "active")]


def test_what_time_to_live_deleted_is_told_from_what_was_deleted(athena):
    assert [user for user, _ in athena.execute(EXPIRED).fetchall()] == ["u-1001"]
