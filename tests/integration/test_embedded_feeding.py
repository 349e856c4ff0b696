"""The commands that feed a function again, without a stack: the project's functions run on this machine."""

import pytest

from cli.main import main
from local.aws import Aws
from local.emulators import embedded

VIEWS = """
from distributary.derive import Aggregate, Entity, Projection

ORDER = Entity(name="order", keys=("id",), attributes=("day", "total"))
VIEWS = [
    Projection(name="order", of=ORDER, pk="ORDER#{id}", sk="ORDER"),
    Aggregate(name="sales", of=ORDER, pk="SALES#{day}", sk="TOTAL", sum={"revenue": "total"}),
]
"""
OF_TWO = """
from distributary.derive import Aggregate, Entity, Projection

ORDER = Entity(name="order", keys=("id",), attributes=("day", "total"), table="orders")
CUSTOMER = Entity(name="customer", keys=("id",), attributes=("day",), table="customers")
VIEWS = [
    Aggregate(name="sales", of=ORDER, pk="SALES#{day}", sk="TOTAL", sum={"revenue": "total"}),
    Projection(name="customer", of=CUSTOMER, pk="CUSTOMER#{id}", sk="CUSTOMER"),
]
"""
STREAM = {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}}
KEY = {
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "BillingMode": "PAY_PER_REQUEST",
}


class Town:
    """A table of orders at an emulator of its own, to which the environment points."""

    def __init__(self, endpoint, folder, capsys):
        self.aws, self.folder, self._capsys = Aws.at_emulator(endpoint, "eu-west-1"), folder, capsys
        self.dynamodb, self.waited = self.aws.client("dynamodb"), []
        (folder / "views.py").write_text(VIEWS)

    def table(self, name, **more):
        self.dynamodb.create_table(TableName=name, **KEY, **more)

    def put(self, id, total="2", table="orders"):
        total = {"N": total} if total.isdigit() else {"S": total}
        self.dynamodb.put_item(TableName=table, Item={"id": {"S": id}, "day": {"S": "mon"}, "total": total})

    def run(self, *arguments):
        """The exit status, and what was printed."""
        status = main([*arguments, f"--declared=derive={self.folder}"])
        said = self._capsys.readouterr()
        return status, said.out or said.err

    def rows(self):
        found = self.dynamodb.scan(TableName="distributary-DerivedTable")["Items"]
        return {row["pk"]["S"]: row.get("revenue", {}).get("N") for row in found if not row["pk"]["S"].startswith("%")}


@pytest.fixture(scope="module")
def endpoint():
    with embedded() as endpoints:
        yield endpoints.aws


@pytest.fixture
def town(endpoint, tmp_path, monkeypatch, capsys):
    """Its region keeps nothing of another test's."""
    found = Town(endpoint, tmp_path, capsys)
    monkeypatch.setattr("cli.rebuilding.wait_for_others", found.waited.append)  # a minute
    for name, value in found.aws.environment().items():
        monkeypatch.setenv(name, value)
    for name in found.dynamodb.list_tables()["TableNames"]:
        found.dynamodb.delete_table(TableName=name)
    s3 = found.aws.client("s3")
    for bucket in [each["Name"] for each in s3.list_buckets()["Buckets"]]:
        for each in s3.list_objects_v2(Bucket=bucket).get("Contents", []):
            s3.delete_object(Bucket=bucket, Key=each["Key"])
    found.table("orders", **STREAM)
    return found


def test_a_backfill_and_a_redrive_need_no_stack(town):
    town.put("a"), town.put("b", "much")
    assert town.run("backfill", "orders", "--function", "derive", "--first-fill") == (
        0,
        "        2  Applied\n2 items, 0 left\n",
    )
    assert town.rows() == {"ORDER#a": None, "ORDER#b": None, "SALES#mon": "2"}
    status, said = town.run("parked", "list", "--table", "orders")
    assert (status, "only numbers add up" in said) == (0, True), said

    town.put("b", "5")
    assert town.run("parked", "redrive", "--table", "orders") == (0, "1 redriven, 0 left\n")
    assert town.rows()["SALES#mon"] == "7"
    assert town.run("parked", "list", "--table", "orders") == (0, "nothing is parked\n")


def test_a_declaration_that_was_not_rebuilt_is_reported_until_it_is(town):
    """`order` keeps an attribute more: what is there shows it once it changes, or is rebuilt."""
    town.put("a")
    assert town.run("attach", "orders", "derive", "--until-drained")[0] == 0
    assert town.run("doctor", "orders", "--derive") == (
        0,
        "ok       declarations: the rows of all 2 views were written as they are declared\n",
    )
    (town.folder / "views.py").write_text(VIEWS.replace('sk="ORDER")', 'sk="ORDER", keep=("day",))'))
    town.put("b")
    status, said = town.run("attach", "orders", "derive", "--until-drained")
    assert (status, "derive: a rebuild is due, `distributary doctor orders --derive` says" in said) == (0, True), said
    command = "distributary rebuild derive --view order --table orders"
    assert town.run("doctor", "orders", "--derive") == (
        1,
        "fault    declarations: rows of view 'order' were written under another declaration (keep)\n"
        f"         fix: {command}\n",
    )
    assert town.run(*command.split()[1:])[0] == 0
    assert [each.branch for each in town.waited] == ["derive"]
    assert town.run("doctor", "orders", "--derive")[0] == 0
    town.put("c")
    status, said = town.run("attach", "orders", "derive", "--until-drained")
    assert (status, "rebuild is due" in said) == (0, False), said
    rows = town.dynamodb.scan(TableName="distributary-DerivedTable")["Items"]
    assert {row["pk"]["S"]: row["day"]["S"] for row in rows if row["pk"]["S"].startswith("ORDER")} == dict.fromkeys(
        ("ORDER#a", "ORDER#b", "ORDER#c"), "mon"
    )


def test_what_another_table_parked_is_listed_and_left(town):
    """The keys of both are of one form: read from the wrong table, such a change would seem deleted."""
    town.table("other", **STREAM)
    town.put("a", "much", table="other")
    assert town.run("backfill", "other", "--function", "derive", "--first-fill")[0] == 0
    status, said = town.run("parked", "redrive", "--table", "orders")
    assert (status, said.splitlines()) == (
        1,
        ["left: 1 of derive: it is of table 'other', which this function does not read", "0 redriven, 1 left"],
    )


def test_a_function_of_several_tables_is_fed_and_rebuilt(town):
    town.table("customers", **STREAM)
    (town.folder / "views.py").write_text(OF_TWO)
    town.put("a"), town.put("b", "much"), town.put("c", table="customers")
    both = "orders,customers"
    assert town.run("backfill", both, "--function", "derive") == (
        1,
        "        2  Applied\n"
        "        1  Parked      view 'sales': sum 'revenue': 'total' is str, and only numbers add up\n"
        "3 items, 1 left\n",
    )
    assert town.rows() == {"SALES#mon": "2", "CUSTOMER#c": None}
    town.put("b", "5"), town.put("d", table="customers")
    status, said = town.run("rebuild", "derive", "--table", both)
    assert (status, "4 items, 0 left" in said) == (0, True), said
    assert town.rows() == {"SALES#mon": "7", "CUSTOMER#c": None, "CUSTOMER#d": None}
    assert town.run("backfill", both, "--function", "derive", "--dry-run") == (
        0,
        "about 2 items of orders: 0 read units for the scan, and what derive reads\n"
        "about 2 items of customers: 0 read units for the scan, and what derive reads\n",
    )


def test_what_is_due_of_several_tables_is_asked_with_all_of_them(town):
    town.table("customers", **STREAM)
    (town.folder / "views.py").write_text(OF_TWO)
    town.put("a"), town.put("c", table="customers")
    attach = ("attach", "orders,customers", "derive", "--until-drained")
    assert town.run(*attach)[0] == 0
    (town.folder / "views.py").write_text(OF_TWO.replace("TOTAL", "SUM"))
    town.put("b")
    status, said = town.run(*attach)
    assert (status, "`distributary doctor orders,customers --derive` says" in said) == (0, True), said


def test_the_doctors_command_fills_a_new_view(town):
    town.table("customers", **STREAM)
    old = OF_TWO.partition("    Projection")[0]
    (town.folder / "views.py").write_text(f"{old}]")
    town.put("a"), town.put("c", table="customers")
    attach = ("attach", "orders,customers", "derive", "--until-drained")
    assert town.run(*attach)[0] == 0
    (town.folder / "views.py").write_text(OF_TWO)
    town.put("b")
    assert town.run(*attach)[0] == 0
    doctor = ("doctor", "orders,customers", "--derive")
    status, said = town.run(*doctor)
    fix = "distributary backfill orders,customers --function derive --view customer"
    assert (status, said.splitlines()[-1].strip()) == (1, f"fix: {fix}"), said
    assert town.run(*fix.split()[1:])[0] == 0
    assert town.run(*doctor)[0] == 0


def test_a_view_of_one_of_several_tables_is_filled_from_that_table(town):
    """Without a stack all tables are named, because the function reads them all."""
    town.table("customers", **STREAM)
    (town.folder / "views.py").write_text(OF_TWO)
    town.put("a"), town.put("c", table="customers")
    fill = ["backfill", "orders,customers", "--function", "derive", "--view"]
    assert town.run(*fill, "customer", "--dry-run") == (
        0,
        "about 1 items of customers: 0 read units for the scan, and what derive reads\n",
    )
    assert town.run(*fill, "customer") == (0, "        1  Applied\n1 items, 0 left\n")
    assert town.rows() == {"CUSTOMER#c": None}
    assert town.run(*fill, "sales", "--view", "customer")[1].endswith("2 items, 0 left\n")
    assert town.run(*fill, "no")[0] == 2


def test_what_is_parked_of_several_tables_is_redriven(town):
    town.table("customers", **STREAM)
    (town.folder / "views.py").write_text(OF_TWO)
    town.put("a", "much")
    both = "orders,customers"
    assert town.run("backfill", both, "--function", "derive", "--first-fill")[0] == 0
    town.put("a", "3")
    assert town.run("parked", "redrive", "--table", both) == (0, "1 redriven, 0 left\n")
    assert town.rows() == {"SALES#mon": "3"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["backfill", "orders,customers", "--function", "derive", "--on-aws"], "--on-aws: give one table at a time"),
        (["backfill", ",", "--function", "derive"], "name a table"),
        (["parked", "list"], "give --stack NAME; for functions on this machine give --table NAME, their source"),
        (["backfill", "orderz", "--function", "derive"], "the table orderz: ResourceNotFoundException"),
        (["parked", "list", "--stack", "shop"], "--parameter and --declared are for functions on this machine"),
    ],
)
def test_a_mistake_without_a_stack_is_one_line(town, arguments, says):
    status, said = town.run(*arguments)
    assert (status, says in said, said.count("\n")) == (2, True, 1), said


def test_without_stack_and_endpoint_a_command_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert main(["parked", "list"]) == 2
    assert "start `distributary up`, and set AWS_ENDPOINT_URL" in capsys.readouterr().err
