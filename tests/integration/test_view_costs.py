"""What `views --diff` says a change of the declarations costs, beside what the commands took, counted on the fakes."""

import json
import math
from collections import Counter

import pytest
from botocore.exceptions import ClientError

from cli import costs
from cli.main import main
from cli.view_changes import difference
from distributary.consumer.consume import Deployment
from distributary.derive import Aggregate, Entity, Join, Latest, Projection, Top, key_prefix
from distributary.derive.described import described
from distributary.derive.factory import rebuilder, reconciler
from distributary.derive.validation import check
from tests.fakes.built import derive
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.items import item_bytes
from tests.fakes.stack import Lambda, clients
from tests.fakes.waiting import without_waiting
from tests.integration.town import SCHEMAS, STREAM, around, fields
from tests.replaced import replace

ITEMS, NOTE = 400, "n" * 300
GROUPS = 9
ORDER = Entity(name="order", keys=("id",), attributes=("day", "total", "note", "rare"))
COMMON = {"of": ORDER}
VIEWS = {
    "a row of the Register": Projection(name="v", of=ORDER, pk="V#{id}", sk="V", keep=("note",)),
    "a row that moves": Projection(name="v", of=ORDER, pk="V#{day}", sk="{id}", keep=("note",)),
    "two rows an item": Projection(
        name="v", of=ORDER, pk="V#{each}", sk="{id}", each=lambda order: ["a", "b"], keep=("note",)
    ),
    "sums": Aggregate(name="v", of=ORDER, pk="V#{day}", sk="V", count="n", sum={"sum": "total"}),
    "counted members": Aggregate(
        name="v",
        of=ORDER,
        pk="V#{day}",
        sk="V",
        min={"least": "total"},
        max={"most": "total"},
        distinct={"days": "day"},
    ),
    "the latest": Latest(name="v", of=ORDER, pk="V#{day}", sk="V", by="total", keep=("note",)),
    "the first three": Top(name="v", n=3, of=ORDER, pk="V#{day}", sk="V", by="total", keep=("note",)),
    "rows in order": Top(name="v", n=3, of=ORDER, pk="V#{day}", sk="V", by="total", keep=("note",), rows=True),
}
WITHIN = 0.04
"""How close: the estimate takes sizes on average and batches as evenly filled."""


class Metered(DynamoDB):
    """Scans as DynamoDB meters them: by the bytes of a page, of at most 1 MB."""

    def scan(self, *, TableName, Segment=0, TotalSegments=1, Limit=None, ExclusiveStartKey=None, **more):
        names = list(SCHEMAS[TableName])
        start = _key(ExclusiveStartKey, names) if ExclusiveStartKey else ()
        with self._lock:
            state = self.state[TableName]
            left = [key for key in sorted(state) if key > start and _segment(key) % TotalSegments == Segment]
            page, size = [], 0
            for key in left[: Limit or len(left)]:
                size += item_bytes(state[key])
                if size > 1024 * 1024:
                    break
                page.append(state[key])
            self.calls["Scan"] += 1
            self.read_units += max(1, math.ceil(size / 4096))
        shown = more.get("ExpressionAttributeNames", {}).values()
        found = {"Items": [{name: item[name] for name in (shown or item)} for item in page]}
        return {**found, "LastEvaluatedKey": {n: page[-1][n] for n in names}} if len(page) < len(left) else found

    def describe_table(self, *, TableName):
        rows = self.state[TableName].values()
        return {
            "Table": {
                "TableName": TableName,
                "KeySchema": [{"AttributeName": name, "KeyType": "HASH"} for name in SCHEMAS[TableName]],
                "ItemCount": len(rows),
                "TableSizeBytes": sum(map(item_bytes, rows)),
                "LatestStreamArn": STREAM,
            }
        }


def _key(item, names):
    return tuple(next(iter(item[name].values())) for name in names)


def _segment(key):
    return sum("".join(key).encode())


class Town:
    """A stack whose derive has kept nothing yet of a table with 1,000 orders."""

    def __init__(self, views, note=NOTE):
        self.service = Metered(SCHEMAS)
        for n in range(ITEMS):
            item = {
                "id": {"S": f"o{n:04}"},
                "day": {"S": f"d{n % GROUPS}"},
                "total": {"N": str(n * 7919 % 1000)},
                "note": {"S": note},
            }
            self.service.state["orders"][(item["id"]["S"],)] = {
                **item,
                **({"rare": {"BOOL": True}} if n % 20 == 0 else {}),
            }
        self.functions = Lambda({"derive": self.deployment(views)}, f"{STREAM}=0")
        self.clients = clients("parking", None, self.functions, dynamodb=self.service)

    def deploy(self, views):
        self.functions.functions["derive"] = self.deployment(views)

    def deployment(self, views):
        branch = derive(views, self.service)
        reconcile = reconciler(branch, lambda: "orders", 0)
        rebuild = rebuilder(branch, reconcile, lambda: "orders")
        return Deployment(branch, *around("derive"), reconcile, rebuild)

    def tables(self):
        return costs.Tables(
            *(
                costs.Size.described(self.service.describe_table(TableName=name)["Table"])
                for name in ("orders", "ledger", "derived")
            )
        )

    def took(self, *arguments):
        """What a command takes of DynamoDB."""
        self.service.calls, self.service.write_units, self.service.read_units = Counter(), 0, 0.0
        assert main([*arguments, "--stack", "shop"]) == 0
        asked = self.service.calls.total() - self.service.calls["DescribeTable"]
        return costs.Cost(self.service.read_units, self.service.write_units, asked)


@pytest.fixture
def town(monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Distributary")
    without_waiting(monkeypatch)

    def make(views, **more):
        found = Town(views, **more)
        monkeypatch.setattr("cli.target.clients", lambda *_: found.clients)
        monkeypatch.setattr("cli.declared.clients", lambda *_: found.clients)
        return found

    return make


def kept(view, members=1):
    (checked,) = check([view])
    return costs.Kept.of(described(checked), members)


def close(said, took):
    pairs = {name: (getattr(said, name), getattr(took, name)) for name in ("reads", "writes", "requests")}
    return {name: each for name, each in pairs.items() if abs(each[0] - each[1]) > WITHIN * each[1] + 20}


def without(view):
    """The same view about no item."""
    return type(view)(**{**fields(view), "where": lambda order: False})


def members(name):
    return 2 if "two" in name else 1


def changed(view, **fields_of):
    return type(view)(**{**fields(view), **fields_of})


@pytest.mark.parametrize("name", VIEWS)
def test_a_backfill_costs_what_the_bounds_say(town, name):
    view = VIEWS[name]
    for declared, bound in ((view, "most"), (without(view), "least")):
        found = town([declared])
        said = costs.filled(kept(declared, members(name)), found.tables())
        assert close(getattr(said, bound), found.took("backfill", "orders", "--function", "derive")) == {}, bound


OTHER = {
    "a row of the Register": {"keep": ("note", "day")},
    "a row that moves": {"keep": ("note", "day")},
    "two rows an item": {"keep": ("note", "day")},
    "sums": {"sum": {"sum": lambda order: 7 + order["total"]}},
    "counted members": {
        "min": {"least": lambda order: 7 + order["total"]},
        "max": {"most": lambda order: 7 + order["total"]},
        "distinct": {"days": lambda order: order["day"] + "!"},
    },
    "the latest": {"keep": ("note", "day")},
    "the first three": {"keep": ("note", "day")},
    "rows in order": {"keep": ("note", "day")},
}


@pytest.mark.parametrize("fields_of", ["content", "key"])
@pytest.mark.parametrize("name", VIEWS)
def test_a_rebuild_costs_what_the_bounds_say(town, name, fields_of):
    """All items in the view, each with something else in it than before; then none."""
    before = VIEWS[name]
    other = OTHER[name] if fields_of == "content" else {"pk": before.pk.replace("V#", "W#")}
    for view, bound in ((before, "most"), (without(before), "least")):
        found, now = town([view]), changed(view, **other)
        found.took("backfill", "orders", "--function", "derive")
        found.deploy([now])
        sides = kept(view, members(name)), kept(now, members(name))
        said = costs.rebuilt(*sides, other, found.tables(), GROUPS)
        assert close(getattr(said, bound), found.took("rebuild", "derive")) == {}, bound


@pytest.mark.parametrize("name", VIEWS)
def test_a_retirement_costs_what_the_bounds_say(town, name):
    for view, bound in ((VIEWS[name], "most"), (without(VIEWS[name]), "least")):
        found = town([view])
        found.took("backfill", "orders", "--function", "derive")
        found.deploy([Projection(name="other", of=ORDER, pk="OTHER#{id}", sk="OTHER")])
        said = costs.retired(kept(view, members(name)), found.tables())
        assert close(getattr(said, bound), found.took("retire", "v")) == {}, bound


BOUGHT = Entity(name="order", keys=("id",), attributes=("day", "note", "buyer"), where=key_prefix("id", "o"))
BUYER = Entity(name="buyer_", keys=("id",), attributes=("name",), where=key_prefix("id", "c"))
NOBODY = Entity(name="order", keys=("id",), attributes=("day", "note", "buyer"), where=key_prefix("id", "x"))
JOINS = {
    "left": Join(name="v", of=BOUGHT, right=BUYER, on="buyer", pk="V#{day}", sk="{id}", keep=("note",)),
    "by the foreign key": Join(name="v", of=BOUGHT, right=BUYER, on="buyer", pk="V#{buyer}", sk="{id}", keep=("note",)),
    "inner": Join(name="v", of=BOUGHT, right=BUYER, on="buyer", kind="inner", pk="V#{day}", sk="{id}", keep=("note",)),
    "by both": Join(
        name="v", of=BOUGHT, right=BUYER, on="buyer", kind="inner", pk="V#{buyer_.name}", sk="{id}", keep=("note",)
    ),
}


def with_buyers(town, views, many):
    """The orders name so many buyers, who are items of the same table."""
    found = town(views)
    orders = found.service.state["orders"]
    for at, item in enumerate(list(orders.values())):
        item["buyer"] = {"S": f"c{at % many:03}"}
    for at in range(many):
        orders[(f"c{at:03}",)] = {"id": {"S": f"c{at:03}"}, "name": {"S": f"n{at}"}}
    return found


def outside(bounds, took):
    """The figures that are not between the bounds, or of which the greatest is far from what all items took."""
    figures = [(name, *(getattr(cost, name) for cost in (bounds.least, took, bounds.most))) for name in took.__slots__]
    return [each for each in figures if not each[1] - 20 <= each[2] <= each[3] + 20 or each[3] > 1.4 * each[2] + 20]


@pytest.mark.parametrize("many", [40, 100])
@pytest.mark.parametrize("name", JOINS)
def test_what_a_join_costs_is_within_the_bounds(town, name, many):
    """Most of the items are left ones."""
    view = JOINS[name]
    found, now = with_buyers(town, [view], many), changed(view, pk=view.pk.replace("V#", "W#"))
    said = costs.filled(kept(view), found.tables())
    assert outside(said, found.took("backfill", "orders", "--function", "derive")) == []
    found.deploy([now])
    said = costs.rebuilt(kept(view), kept(now), ["pk"], found.tables())
    assert outside(said, found.took("rebuild", "derive")) == []
    found.deploy([Projection(name="other", of=ORDER, pk="OTHER#{id}", sk="OTHER")])
    said = costs.retired(kept(now), found.tables())
    assert outside(said, found.took("retire", "v")) == []


@pytest.mark.parametrize("name", JOINS)
def test_items_of_neither_side_cost_a_join_the_least(town, name):
    none = changed(JOINS[name], of=NOBODY, right=replace(BUYER, where=key_prefix("id", "y")))
    found = with_buyers(town, [none], 40)
    said = costs.filled(kept(none), found.tables())
    assert close(said.least, found.took("backfill", "orders", "--function", "derive")) == {}


def test_rows_of_several_kilobytes_are_counted_by_their_size(town):
    view = VIEWS["a row that moves"]
    found = town([view], note="n" * 5300)
    said = costs.filled(kept(view), found.tables())
    took = found.took("backfill", "orders", "--function", "derive")
    assert close(said.most, took) == {}
    assert took.writes == 1 + ITEMS * (2 + 2 * 6)


PROJECT = """
from distributary.derive import Entity, Projection

ORDER = Entity(name="order", keys=("id",), attributes=("day", "note"))
VIEWS = [Projection(name="v", of=ORDER, pk="V#{id}", sk="V", keep=("note", "day")),
         Projection(name="day", of=ORDER, pk="DAY#{day}", sk="{id}")]
"""


@pytest.fixture
def project(tmp_path):
    """Keeps an attribute more, and has a view more."""
    (tmp_path / "functions" / "derive").mkdir(parents=True)
    (tmp_path / "functions" / "derive" / "views.py").write_text(PROJECT)
    (tmp_path / "template.yaml").write_text("")
    return str(tmp_path)


def said(project, capsys, *options):
    capsys.readouterr()
    assert main(["--project", project, "views", "--diff", "--stack", "shop", *options]) == 1
    return capsys.readouterr().out


def test_the_diff_says_what_each_change_costs(town, project, capsys):
    found = town([VIEWS["a row of the Register"]])
    found.took("backfill", "orders", "--function", "derive")
    lines = said(project, capsys, "--price", "0.125,0.625").splitlines()
    assert lines[:3] == [
        "new      day: distributary backfill orders --function derive --view day --stack shop",
        "         costs: 400 items to read; 834 to 2,434 read units; 0 to 1,600 write units; 36 to 500 requests to "
        "DynamoDB; $0.00",
        "         not known: how many of the items are in the view",
    ]
    assert lines[3].startswith("changed  v (keep): ")
    cost = json.loads(said(project, capsys, "--json", "-"))["changes"][0]["cost"]
    assert (cost["items"], cost["write_units"], "dollars" in cost) == (400, [0, 1600], False)


def test_sizes_may_be_given_where_the_table_does_not_tell(town, project, capsys, monkeypatch):
    found = town([VIEWS["a row of the Register"]])
    found.took("backfill", "orders", "--function", "derive")
    denied = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "DescribeTable")

    def refused(**_):
        raise denied

    monkeypatch.setattr(found.service, "describe_table", refused)
    assert "costs: not known: " in (text := said(project, capsys))
    assert "allow dynamodb:DescribeTable, or give --items and --item-size" in text
    given = said(project, capsys, "--items", "1000000", "--item-size", "300")
    assert "1,000,000 items to read" in given
    assert "0 to 4,000,000 write units" in given


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--diff", "--stack", "shop", "--items", "5"), "--items needs --item-size"),
        (("--items", "5", "--item-size", "5"), "are for --diff"),
        (("--diff", "--stack", "shop", "--price", "cheap"), "--price cheap: give two numbers, such as 0.125,0.625"),
        (("--diff", "--stack", "shop", "--price", "1,nan"), "--price 1,nan: give two numbers"),
    ],
)
def test_options_that_say_nothing_are_refused(town, project, capsys, options, says):
    town([VIEWS["a row of the Register"]])
    assert main(["--project", project, "views", *options]) == 2
    assert says in capsys.readouterr().err


class Sized:
    """A function of two tables, of which each can be described."""

    branch = "derive"
    sources = dict.fromkeys(("orders", "buyers"), "")
    environment = {"LEDGER_TABLE": "ledger", "DERIVED_TABLE": "derived"}  # noqa: RUF012
    many = {"orders": 900, "buyers": 100, "ledger": 0, "derived": 0}  # noqa: RUF012

    def clients(self, service):
        return self

    def describe_table(self, *, TableName):
        return {"Table": {"ItemCount": self.many[TableName], "TableSizeBytes": 300 * self.many[TableName]}}

    def invoke(self, event):
        return {"declarations": {"written": {}, "since": {}, "declared": {}, "parts": []}}


def test_a_join_of_two_tables_is_filled_from_both():
    left, right = replace(BOUGHT, where=None, table="orders"), replace(BUYER, where=None, table="buyers")
    (view,) = check([changed(JOINS["left"], of=left, right=right)])
    (change,) = difference(Sized(), {"v": described(view)}, None, 1)
    assert (change.items, change.bounds is None) == (1000, False)
    assert change.command("shop").startswith("distributary backfill orders,buyers --function derive --view v")
