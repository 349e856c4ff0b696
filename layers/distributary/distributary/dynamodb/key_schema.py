"""A table's key. Commands alone ask for it: no function's role may describe its table."""

from distributary.consumer.aws import AwsError, why_no_table
from distributary.dynamodb.requests import TableClient
from distributary.errors import ConfigError


def key_names(client: TableClient, table: str) -> tuple[str, ...]:
    """The table's key attributes, partition key first. Raises ConfigError if there is no such table to read."""
    try:
        schema = client.describe_table(TableName=table)["Table"]["KeySchema"]
    except AwsError as error:
        raise ConfigError(why_no_table(table, error)) from None
    return tuple(str(each["AttributeName"]) for each in schema)
