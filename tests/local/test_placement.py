"""Functions keep things beside their source, or at `up` if the source's endpoint holds tables only."""

import io
from pathlib import Path
from random import Random

import pytest
from rich.console import Console

from local.attach import Order, attach, source_table
from local.aws import Aws
from local.placement import place
from local.stack import Project
from tests.fakes.region_proxy import Handler, RegionProxy

ROOT = Path(__file__).parents[2]


class TablesOnly(Handler):
    """Passes DynamoDB's requests on. It answers everything else as DynamoDB Local does, with an error of its own."""

    def _tables(self):
        if "X-Amz-Target" in self.headers:
            self._serve()
            return
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.send_response_only(500)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = _tables


@pytest.fixture
def tables_only(endpoints):
    """An endpoint like DynamoDB Local's, before the emulator's own tables."""
    proxy = RegionProxy(endpoints.aws, Random(1))
    proxy.RequestHandlerClass = TablesOnly
    with proxy.serving():
        yield Aws.at_emulator(proxy.url, "us-east-1")


def test_an_emulator_that_has_s3_keeps_everything_beside_the_source(aws):
    kept = place(aws, None, False)
    assert kept.at is aws
    assert kept.line.endswith(f"at {aws.endpoint}, where they outlive this run")


@pytest.mark.parametrize("embedded", [True, False])
def test_a_table_on_aws_or_embedded_keeps_everything_in_the_run(aws, embedded):
    source = aws if embedded else Aws(None, "us-east-1", "key", "secret")
    assert place(source, aws, embedded).at is None


def test_without_s3_everything_is_kept_at_the_services_of_up(tables_only, aws):
    kept = place(tables_only, aws, False)
    assert kept.at is aws
    assert kept.line.startswith(f"{tables_only.endpoint} has no S3: ")
    assert kept.line.endswith(f"at {aws.endpoint}, where they outlive this run")


@pytest.mark.parametrize("beside", ["none", "the same", "another without S3"])
def test_without_s3_and_without_up_the_line_says_how_to_keep_things(tables_only, beside):
    there = {"none": None, "the same": tables_only, "another without S3": Aws.at_emulator("http://127.0.0.1:9", "x")}
    kept = place(tables_only, there[beside], False)
    assert kept.at is None
    assert "services that end with this run. To keep them, start `distributary up`" in kept.line
    assert kept.line.count("\n") == 0


def test_attach_reads_at_one_endpoint_and_keeps_rows_at_the_other(tables_only, aws):
    source, said = aws.client("dynamodb"), Console(file=io.StringIO(), width=200)
    source.create_table(
        TableName="apart",
        KeySchema=[{"AttributeName": "user_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "user_id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    item = {"user_id": "u1", "name": "Ada", "email": "ada@example.com", "status": "active"}
    source.put_item(TableName="apart", Item={name: {"S": value} for name, value in item.items()})
    order = Order(*source_table(tables_only, "apart"), ("derive",), tables_only, aws, False, True, False, {})
    assert attach(order, Project(ROOT), said, lambda _: []) == 0
    assert f"{tables_only.endpoint} has no S3" in said.file.getvalue()
    assert "derive: row ACTIVE / USER#u1" in said.file.getvalue()
    rows = source.scan(TableName="distributary-DerivedTable")["Items"]
    assert {"S": "USER#u1"} in [row["sk"] for row in rows]
