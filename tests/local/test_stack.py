"""A stream, a mapping and a function, put together."""

import time

from local.backfill import Table


def test_a_change_in_the_source_reaches_the_functions_table_beside_a_backfill(stack, table, aws):
    table.put("before")
    table.put("after")
    mapping = stack.attach(table.arn, ["probe"])["probe"]
    assert stack.backfill(Table(table.name, ("id",), table.arn, "us-east-1"), ["probe"]) == 2
    since = time.monotonic()
    while not mapping.drained(since, quiet_seconds=0.2):
        time.sleep(0.05)
    items = aws.client("dynamodb").scan(TableName="distributary-Table")["Items"]
    assert {item["id"]["S"] for item in items} == {"before", "after"}
    assert stack.function("probe").metrics.counts() == {"Received": 4}
