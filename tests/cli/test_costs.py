"""`distributary costs`: from the table's metrics, or by hand; and prices that users may replace."""

import json
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest

from cli.costs import Size
from cli.main import main
from cli.monthly import command
from cli.monthly.branches import of_mirror
from cli.monthly.prices import FILE, read
from cli.monthly.traffic import MONTH, Traffic
from distributary.consumer.deadline import FOREVER
from tests.fakes.answers import refusal
from tests.fakes.built import mirror
from tests.fakes.dynamodb import DynamoDB
from tests.unit.records import change

VIEWS = """
from distributary.derive import Aggregate, Entity, Projection
ORDER = Entity(name="order", keys=("id",), attributes=("store", "total"))
VIEWS = [
    Projection(name="copy", of=ORDER, pk="O#{id}", sk="O", keep=("total",)),
    Aggregate(name="sales", of=ORDER, pk="S#{store}", sk="T", count="n"),
]
"""
BY_HAND = ("--writes", "10", "--items", "1000", "--item-size", "500", "--updates", "0.5", "--deletes", "0")


class Aws:
    """CloudWatch and DynamoDB, which know one table. `sums` are by metric, or by operation; each for one period."""

    def __init__(self, **sums):
        self.sums, self.meta = sums, SimpleNamespace(region_name="eu-west-1")

    def describe_table(self, *, TableName):
        assert TableName == "orders"
        return {"Table": {"ItemCount": 1000, "TableSizeBytes": 1_500_000}}

    def get_metric_data(self, *, MetricDataQueries, StartTime: datetime, EndTime: datetime):
        assert EndTime - StartTime >= timedelta(days=14)
        return {"MetricDataResults": [self._series(each, StartTime) for each in MetricDataQueries]}

    def _series(self, query, start):
        metric = query["MetricStat"]["Metric"]
        of = {each["Name"]: each["Value"] for each in metric["Dimensions"]}
        assert (metric["Namespace"], of["TableName"]) == ("AWS/DynamoDB", "orders")
        assert query["MetricStat"]["Stat"] == ("SampleCount" if "Operation" in of else "Sum")
        value = self.sums.get(of.get("Operation", metric["MetricName"]))
        return {"Id": query["Id"], "Timestamps": [start] if value else [], "Values": [value] if value else []}


@pytest.fixture
def costs(tmp_path, monkeypatch, capsys):
    views = tmp_path / "functions" / "derive" / "views.py"
    views.parent.mkdir(parents=True)
    views.write_text(VIEWS)
    (tmp_path / "template.yaml").write_text("")

    def run(*arguments, aws=None, table="orders"):
        monkeypatch.setattr(command, "clients", lambda endpoint, region: lambda service: aws)
        code = main(["--project", str(tmp_path), "costs", table, "--function", "derive", *arguments])
        return code, capsys.readouterr()

    return run


def parts(costs, *arguments, **more):
    code, out = costs("--json", "-", *arguments, **more)
    assert code == 0, out.err
    report = json.loads(out.out)
    return report, {each["part"]: each for each in report["parts"]}


def test_a_register_row_costs_a_unit_for_each_change(costs):
    _, found = parts(costs, *BY_HAND, "--batch", "1", "--region", "us-east-1")
    assert found["copy"]["writes"] == pytest.approx(10 * MONTH)
    assert found["copy"]["reads"] == pytest.approx(10 * MONTH)
    assert found["copy"]["dollars"] == pytest.approx(10 * MONTH * 0.75 / 1e6, rel=1e-3)


def test_a_larger_batch_shares_the_row_of_a_group(costs):
    alone = parts(costs, *BY_HAND, "--batch", "1", "--groups", "sales=5")[1]["sales"]["writes"]
    shared = parts(costs, *BY_HAND, "--batch", "50", "--groups", "sales=5")[1]["sales"]["writes"]
    assert alone == pytest.approx(40 * MONTH)
    assert 20 * MONTH < shared < 24 * MONTH


def test_a_join_costs_by_the_side_that_the_table_is_and_the_rows_that_show_it(costs, tmp_path):
    both = "[Join(name='paid', of=ORDER, right=SHOP, on='store', pk='S#{store}', sk='{id}', keep_right=('city',))]"
    sides = VIEWS.split("VIEWS")[0].replace("import ", "import Join, ").replace('"total")', '"total"), table="orders"')
    store = 'SHOP = Entity(name="shop", keys=("id",), attributes=("city",), table="stores")\n'
    (tmp_path / "functions" / "derive" / "views.py").write_text(f"{sides}{store}VIEWS = {both}")
    edits = (*BY_HAND, "--updates", "1", "--batch", "1")
    left = parts(costs, *edits)[1]["paid"]["writes"]
    right = parts(costs, *edits, "--rows", "paid=50", table="stores")[1]["paid"]["writes"]
    assert left == pytest.approx(10 * 6 * MONTH)
    assert right == pytest.approx(10 * (1 + 50 * 2) * MONTH)
    other = parts(costs, *edits, table="carts")[1]["paid"]
    assert other["unknown"] == "it is about orders and stores"


def test_the_tables_own_metrics_say_how_much_is_written(costs):
    seconds = 14 * 86400
    aws = Aws(
        ConsumedWriteCapacityUnits=4 * 10 * seconds,  # 2 units each: half of it is in batches and transactions
        PutItem=4 * seconds,
        UpdateItem=5 * seconds,
        DeleteItem=1 * seconds,
        TimeToLiveDeletedItemCount=20 * seconds,
    )
    report, _ = parts(costs, aws=aws)
    assert report["traffic"].startswith("40.00 changes a second (20% inserts, 25% updates, 55% deletes), 1,000 items")
    assert report["region"] == "eu-west-1"


def test_what_is_given_by_hand_goes_before_the_metrics(costs):
    aws = Aws(ConsumedWriteCapacityUnits=1e9, PutItem=1e9)
    report, _ = parts(costs, "--writes", "7", "--updates", "1", "--deletes", "0", aws=aws)
    assert report["traffic"].startswith("7.00 changes a second (0% inserts, 100% updates, 0% deletes)")


def test_a_table_that_nothing_wrote_to_says_what_to_give(costs):
    code, out = costs(aws=Aws())
    assert (code, "give --writes" in out.err) == (2, True)


@pytest.mark.parametrize(
    "wrong",
    [
        ("--updates", "0.9", "--deletes", "0.2"),
        ("--groups", "sales=0"),
        ("--groups", "sales"),
        ("--groups", "salez=5"),
        ("--rows", "sales=5"),
        ("--writes", "0"),
        ("--function", "no"),
    ],
)
def test_what_cannot_be_is_refused(costs, wrong):
    assert costs(*BY_HAND, *wrong)[0] == 2


@pytest.mark.parametrize("wrong", [("--groups", "sales=5"), ("--rows", "paid=5")])
def test_figures_of_views_are_refused_where_no_view_is_asked_for(tmp_path, wrong, capsys):
    assert main(["costs", "orders", *BY_HAND, "--function", "archive", *wrong]) == 2
    assert "add --function derive" in capsys.readouterr().err


def test_a_table_that_is_not_there_is_named_with_what_to_correct(costs):
    class Empty:
        def describe_table(self, **_):
            raise refusal("DescribeTable", "ResourceNotFoundException", "not found")

    code, out = costs(aws=Empty())
    assert code == 2
    assert "table orders: ResourceNotFoundException; correct its name, --region" in out.err


def test_the_region_of_the_environment_is_that_of_the_prices(costs, monkeypatch):
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    assert parts(costs, *BY_HAND)[0]["region"] == "eu-west-1"


def test_prices_of_your_own_take_the_place_of_the_projects(costs, tmp_path):
    own = tmp_path / "own.toml"
    own.write_text(FILE.read_text().replace("us-east-1", "xx-test-1").replace("0.625", "1000.0"))
    _, found = parts(costs, *BY_HAND, "--region", "xx-test-1", "--prices", str(own))
    assert found["copy"]["dollars"] > 9 * MONTH * 1000 / 1e6
    own.write_text('as_of = "2026-01-01"\n[regions.xx-test-1]\nmillion_writes = 1\n')
    code, out = costs(*BY_HAND, "--region", "xx-test-1", "--prices", str(own))
    assert (code, "lacks" in out.err) == (2, True)


def test_a_region_without_prices_shows_units_alone(costs):
    code, out = costs(*BY_HAND, "--region", "xx-test-1")
    assert code == 0
    assert "$" not in out.out
    assert "no prices of xx-test-1" in out.out


def test_every_region_of_the_file_has_every_price_and_the_file_a_date():
    for region in ("us-east-1", "us-west-2", "eu-west-1", "eu-central-1"):
        found = read(FILE, region)
        assert datetime.fromisoformat(found.as_of)
        assert found.million_writes > found.million_reads > 0


def test_the_total_is_the_sum_of_the_parts(costs):
    _, out = costs(*BY_HAND, "--region", "us-east-1")
    _, found = parts(costs, *BY_HAND, "--region", "us-east-1")
    total = sum(each["dollars"] for each in found.values())
    last = out.out.splitlines()[-1]
    assert f"{total:,.2f}" in last


def test_a_mirror_is_within_a_tenth_of_the_exact_count():
    service = DynamoDB({"replica": {"user_id": "S"}, "tombstones": {"id": "S"}})
    branch, many = mirror(service), 200
    text = {"name": {"S": "x" * 1500}}
    branch.apply([change(at, user=f"u-{at}", new=text) for at in range(many)], FOREVER)
    service.write_units = service.read_units = 0
    service.calls.clear()
    ends = [
        change(many + at, "REMOVE" if at % 4 == 0 else "MODIFY", user=f"u-{at}", new=text, old=text)
        for at in range(many)
    ]
    branch.apply(ends, FOREVER)
    found = Traffic(1.0, 0.0, 0.75, 0.25, Size(many, 1520.0), float(many), float(many))
    (cost,) = of_mirror(found)
    batches = found.invocations * MONTH
    assert cost.writes / batches == pytest.approx(service.write_units, rel=0.1)
    assert cost.reads / batches == pytest.approx(service.read_units, rel=0.1)
    assert cost.requests / batches == pytest.approx(sum(service.calls.values()), rel=0.1)
