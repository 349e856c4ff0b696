"""`attach` with the functions as they are built: what it does when one cannot start, and when one changes."""

import contextlib
import io
import shutil
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from cli import project as projects
from cli.main import main
from local.attach import GIVES_UP, Order, _Stuck, attach, source_table
from local.aws import Aws
from local.esm.tally import Tally
from local.reload import Reload
from local.stack import Project, Stack
from tests.local.conftest import SourceTable, build_folder

ROOT = Path(__file__).parents[2]
VIEWS = """from distributary.derive import Entity, Projection
ITEM = Entity(name="item", keys=("id",), attributes=("colour",))
VIEWS = [Projection(name="mine", of=ITEM, pk="ITEM#{id}", sk="MINE", keep=("colour",)%s)]
"""


@pytest.fixture
def shop(tmp_path):
    """The project with declarations that a test may change; it is built where the other tests build."""
    for name in ("template.yaml", "samconfig.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("functions", "layers"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "functions/derive/views.py").write_text(VIEWS % "")
    return tmp_path


@pytest.fixture
def at_the_emulator(monkeypatch, endpoints):
    for name, value in Aws.at_emulator(endpoints.aws, "us-east-1").environment().items():
        monkeypatch.setenv(name, value)


class Attached:
    """`attach` in a thread, with what it printed."""

    def __init__(self, shop, table, aws):
        self.shop, self.table, self.console = shop, table, Console(file=io.StringIO(), width=200)
        self.dynamodb = aws.client("dynamodb")
        self.order = Order(*source_table(aws, table.name), ("derive",), aws, None, False, False, False, {})

    def run(self):
        project, found = Project(self.shop, build_folder("test-attach")), projects.find(self.shop)
        attach(self.order, project, self.console, lambda name: projects.faults(found, name))

    @property
    def said(self):
        return self.console.file.getvalue()

    def row(self, id):
        key = {"pk": {"S": f"ITEM#{id}"}, "sk": {"S": "MINE"}}
        try:
            return self.dynamodb.get_item(TableName="distributary-DerivedTable", Key=key).get("Item")
        except self.dynamodb.exceptions.ResourceNotFoundException:
            return None

    def until(self, met):
        by = time.monotonic() + 90
        while not met():
            assert time.monotonic() < by, self.said
            time.sleep(0.1)


@pytest.fixture
def attached(shop, table, aws, monkeypatch):
    running, stop, look = Attached(shop, table, aws), threading.Event(), Reload.look

    def interrupted(self):
        look(self)
        if stop.is_set() and threading.current_thread() is thread:
            raise KeyboardInterrupt

    thread = threading.Thread(target=running.run)
    monkeypatch.setattr(Reload, "look", interrupted)
    with contextlib.ExitStack() as end:
        end.callback(thread.join)
        end.callback(stop.set)
        thread.start()
        yield running


def test_a_function_that_cannot_start_ends_attach_with_its_error(at_the_emulator, shop, table, capsys):
    (shop / "functions/derive/app.py").write_text("raise RuntimeError('no such luck')\n")
    (shop / ".build").symlink_to(build_folder("test-attach-broken"))
    build_folder("test-attach-broken").mkdir(parents=True, exist_ok=True)
    table.put("a", colour={"S": "red"})
    assert main(["--project", str(shop), "attach", table.name, "derive"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("derive cannot start: RuntimeError: no such luck (log: ")
    assert said.count("\n") == 1


def test_a_function_that_keeps_failing_ends_until_drained_with_its_cause(
    at_the_emulator, shop, table, capsys, monkeypatch
):
    """`said_by_function` is what the function's log says of its failed changes."""
    monkeypatch.setattr("local.attach.GIVES_UP", 2)
    said_by_function = '{"message": "failed", "changes": 1, "cause": "no such luck"}'
    broken = f"\n\ndef handler(event, context):\n    print({said_by_function!r})\n    raise RuntimeError\n"
    app = shop / "functions/derive/app.py"
    app.write_text(app.read_text() + broken)
    (shop / ".build").symlink_to(build_folder("test-attach-broken"))
    build_folder("test-attach-broken").mkdir(parents=True, exist_ok=True)
    table.put("a", colour={"S": "red"})
    assert main(["--project", str(shop), "attach", table.name, "derive", "--until-drained"]) == 1
    last = capsys.readouterr().out.splitlines()[-1]
    assert last == "derive: not drained, its changes keep failing: no such luck: fix it, then run this again"


def test_what_gets_ahead_between_its_failures_is_not_stuck():
    mapping, stuck = SimpleNamespace(tally=Tally()), _Stuck({})
    for _ in range(GIVES_UP):
        mapping.tally.add(retried=GIVES_UP - 1, done=1)
        assert stuck.found({"derive": mapping}) is None
    mapping.tally.add(retried=GIVES_UP)
    assert stuck.found({"derive": mapping}) == "derive"


def test_a_function_with_a_wrong_option_logs_file_line_and_option(shop, aws):
    (shop / "functions/derive/views.py").write_text(VIEWS % ", foo=1")
    said = []
    with Stack(Project(shop, build_folder("test-attach-broken")), aws, {}, lambda *line: said.append(line)) as stack:
        answer = stack.invoke("derive", {"Records": []})
    expected = "views.py:3: TypeError: Projection.__init__() got an unexpected keyword argument 'foo'"
    assert answer.error() == f"ConfigError: {expected}"
    assert any(expected in line for _, line in said)


def test_declared_keys_that_the_table_lacks_end_attach_at_once(at_the_emulator, shop, table, capsys, monkeypatch):
    monkeypatch.setattr("local.attach._stack", None)
    views = VIEWS.replace("{id}", "{user}").replace("'id'", "'user'").replace('"id"', '"user"')
    (shop / "functions/derive/views.py").write_text(views % "")
    assert main(["--project", str(shop), "attach", table.name, "derive"]) == 1
    assert capsys.readouterr().err == (
        "functions/derive/views.py: view 'mine': entity 'item' has the keys user, and the table id: "
        "correct keys=; or table=, if the function reads several tables\n"
    )


def test_attach_says_which_rows_were_made_when_the_functions_come_to_rest(attached):
    attached.table.put("a", colour={"S": "red"})
    attached.until(lambda: "derive: row ITEM#a / MINE\n" in attached.said)
    attached.table.delete("a")
    attached.until(lambda: "derive: row ITEM#a / MINE removed\n" in attached.said)


TWO = """from distributary.derive import Aggregate, Entity, Projection
ORDER = Entity(name="order", keys=("id",), attributes=("total",), table="{orders}")
CUSTOMER = Entity(name="customer", keys=("id",), attributes=("name",), table="{customers}")
VIEWS = [
    Projection(name="customer", of=CUSTOMER, pk="CUSTOMER#{{id}}", sk="CUSTOMER", keep=("name",)),
    Aggregate(name="sales", of=ORDER, pk="SALES", sk="TOTAL", count="orders", sum={{"revenue": "total"}}),
]
"""


@pytest.fixture
def two(shop, aws):
    """Two tables whose items have the same ids, the views over both, and the command that attaches derive to them."""
    orders, customers = SourceTable(aws), SourceTable(aws)
    (shop / "functions/derive/views.py").write_text(TWO.format(orders=orders.name, customers=customers.name))
    build_folder("test-attach").mkdir(parents=True, exist_ok=True)
    (shop / ".build").symlink_to(build_folder("test-attach"))
    for n in range(12):
        orders.put(f"i{n}", total={"N": str(n)})
        customers.put(f"i{n}", name={"S": f"name {n}"})
    orders.delete("i3"), customers.delete("i4")
    return orders, customers


def test_attach_to_two_tables_gives_each_view_the_items_of_its_own(at_the_emulator, shop, two, aws, capsys):
    orders, customers = two
    both = f"{orders.name},{customers.name}"
    assert main(["--project", str(shop), "attach", both, "derive", "--until-drained"]) == 0, capsys.readouterr().err
    client = aws.client("dynamodb")
    rows = {row["pk"]["S"]: row for row in client.scan(TableName="distributary-DerivedTable")["Items"]}
    assert rows["SALES"]["orders"] == {"N": "11"}
    assert rows["SALES"]["revenue"] == {"N": str(sum(range(12)) - 3)}
    named = {pk: row["name"]["S"] for pk, row in rows.items() if pk.startswith("CUSTOMER#")}
    assert named == {f"CUSTOMER#i{n}": f"name {n}" for n in range(12) if n != 4}
    for table in (orders, customers):
        kept = {"derived": "DerivedTable", "ledger": "LedgerTable"}
        given = [arg for what, each in kept.items() for arg in (f"--{what}-table", f"distributary-{each}")]
        verify = ["--project", str(shop), "verify", "derive", table.name, *given, "--pause", "0"]
        assert main(verify) == 0, capsys.readouterr()
        assert "items 11, " in capsys.readouterr().out


def test_a_table_that_a_function_cannot_read_besides_is_refused(at_the_emulator, shop, two, capsys):
    orders, customers = two
    both = f"{orders.name},{customers.name}"
    assert main(["--project", str(shop), "attach", both, "archive", "--until-drained"]) == 2
    assert "archive reads 1 table at most: leave out the others" in capsys.readouterr().err
    (shop / "functions/derive/views.py").write_text(TWO.format(orders="elsewhere", customers=customers.name))
    assert main(["--project", str(shop), "attach", both, "derive", "--until-drained"]) == 2
    said = capsys.readouterr().err
    assert f"entity 'order' is of table 'elsewhere', and the function reads {orders.name}, {customers.name}" in said


def test_a_changed_declaration_restarts_the_function(attached):
    """The derived table is that of the other tests: no other has rows of these ids."""
    attached.table.put("before", colour={"S": "red"})
    attached.until(lambda: attached.row("before"))
    assert "shade" not in attached.row("before")
    views = attached.shop / "functions/derive/views.py"
    views.write_text(VIEWS % ", rename={'nothing': 'shade'}")
    attached.until(lambda: "functions/derive/views.py: view 'mine'" in attached.said)
    attached.table.put("meanwhile", colour={"S": "green"})
    attached.until(lambda: attached.row("meanwhile"))
    assert attached.row("meanwhile")["colour"] == {"S": "green"}, "the old declaration still runs"
    views.write_text(VIEWS % ", compute={'shade': lambda item: item['colour'].upper()}")
    attached.until(lambda: "derive: restarted with the changed declarations" in attached.said)
    attached.table.put("after", colour={"S": "blue"})
    attached.until(lambda: attached.row("after"))
    assert attached.row("after")["shade"] == {"S": "BLUE"}
