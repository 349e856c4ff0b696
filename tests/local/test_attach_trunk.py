"""`attach --trunk`: one function reads the stream for several, and what one of them cannot take is fed to it later."""

import contextlib
import io
import shutil
import threading
import time
from pathlib import Path

import pytest
from rich.console import Console

from cli import project as projects
from cli.main import main
from local.attach import Order, attach, source_table
from local.aws import Aws
from local.build import build
from local.reload import Reload
from local.stack import Project
from tests.local.conftest import build_folder

ROOT = Path(__file__).parents[2]
VIEWS = """from distributary.derive import Entity, Projection
ITEM = Entity(name="item", keys=("id",), attributes=("colour",))
VIEWS = [Projection(name="mine", of=ITEM, pk="ITEM#{id}", sk="MINE", keep=("colour",))]
"""
RULES = """from distributary.welcome import Content, Entity, Rule
ITEM = Entity(name="item", keys=("id",), attributes=("email",))
RULES = [Rule(name="welcome", of=ITEM, to="email", content={"en": Content("Welcome", "Hello", "<p>Hello</p>")})]
"""
DEFERRED, ARCHIVE = (f"distributary-{name}bucket-000000000000" for name in ("deferred", "archive"))


@pytest.fixture
def shop(tmp_path):
    """The project with views and rules that a test may change; it is built where the other tests build."""
    for name in ("template.yaml", "samconfig.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("functions", "layers"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "functions/derive/views.py").write_text(VIEWS)
    (tmp_path / "functions/welcome/rules.py").write_text(RULES)
    (tmp_path / ".build").symlink_to(build_folder("test-attach-trunk"))
    build_folder("test-attach-trunk").mkdir(parents=True, exist_ok=True)
    return tmp_path


@pytest.fixture
def at_the_emulator(monkeypatch, endpoints):
    for name, value in Aws.at_emulator(endpoints.aws, "us-east-1").environment().items():
        monkeypatch.setenv(name, value)


def row(aws, id):
    key = {"pk": {"S": f"ITEM#{id}"}, "sk": {"S": "MINE"}}
    return aws.client("dynamodb").get_item(TableName="distributary-DerivedTable", Key=key).get("Item")


def archived(aws):
    s3 = aws.client("s3")
    there = ARCHIVE in {each["Name"] for each in s3.list_buckets()["Buckets"]}
    return s3.list_objects_v2(Bucket=ARCHIVE)["KeyCount"] if there else 0


def test_one_function_carries_all_and_is_drained_once_nothing_is_deferred(at_the_emulator, shop, table, aws, capsys):
    table.put("a", colour={"S": "red"}, email={"S": "a@example.com"})
    table.put("b", colour={"S": "blue"}, email={"S": "b@example.com"})
    before = archived(aws)
    command = ["--project", str(shop), "attach", table.name, "derive", "welcome", "archive", "--trunk"]
    assert main([*command, "--until-drained", "--parameter", "WelcomeSender=hello@example.com"]) == 0
    said = capsys.readouterr().out
    assert row(aws, "a")["colour"] == {"S": "red"}
    assert row(aws, "b")["colour"] == {"S": "blue"}
    assert archived(aws) == before + 1
    counted = {line.split()[0]: line.split() for line in said.splitlines() if line.split()}
    assert counted["trunk"][1:4] == ["2", "6", "4"]
    # branch, received, applied, superseded, ignored, parked, failed, deferred, replayed
    assert counted["welcome"][1:9] == ["2", "0", "0", "0", "0", "0", "2", "2"]
    assert counted["derive"][1:3] == ["2", "2"]


class Attached:
    """`attach --trunk` in a thread."""

    def __init__(self, shop, table, aws):
        self.console = Console(file=io.StringIO(), width=200)
        self._shop, functions = shop, ("derive", "archive")
        self._order = Order(*source_table(aws, table.name), functions, aws, None, False, False, False, {}, trunk=True)

    def run(self):
        project, found = Project(self._shop, build_folder("test-attach-trunk")), projects.find(self._shop)
        attach(self._order, project, self.console, lambda name: projects.faults(found, name))

    def until(self, met):
        by = time.monotonic() + 90
        while not met():
            assert time.monotonic() < by, self.console.file.getvalue()
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


def test_a_paused_branch_is_given_its_changes_when_it_is_resumed(attached, table, aws, at_the_emulator, shop, capsys):
    table.put("early", colour={"S": "red"})
    attached.until(lambda: "distributary-DerivedTable" in aws.client("dynamodb").list_tables()["TableNames"])
    attached.until(lambda: row(aws, "early"))
    command = ["--project", str(shop)]
    here = ["--table", table.name]
    assert main([*command, "pause", "derive", *here]) == 0
    time.sleep(6)
    objects = archived(aws)
    table.put("early", colour={"S": "blue"})
    table.put("late", colour={"S": "green"})
    attached.until(lambda: archived(aws) > objects)
    attached.until(lambda: deferred(aws))
    assert row(aws, "late") is None
    assert row(aws, "early")["colour"] == {"S": "red"}
    assert main([*command, "resume", "derive", *here]) == 0
    attached.until(lambda: row(aws, "late") and row(aws, "early")["colour"] == {"S": "blue"})
    attached.until(lambda: not deferred(aws))
    assert "derive is resumed" in capsys.readouterr().out


def deferred(aws):
    return aws.client("s3").list_objects_v2(Bucket=DEFERRED, Prefix="deferred/derive/")["KeyCount"]


def test_two_tables_are_not_read_by_one_trunk(at_the_emulator, shop, table, capsys):
    assert main(["--project", str(shop), "attach", f"{table.name},other", "derive", "--trunk"]) == 2
    assert "--trunk reads the stream of one table" in capsys.readouterr().err


@pytest.mark.slow
def test_declarations_of_another_folder_are_those_of_the_branch_in_the_trunk(shop, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "views.py").write_text(VIEWS.replace("MINE", "OTHER"))
    built = build(Project(shop).template, ["trunk"], build_folder("test-attach-trunk"), {"derive": other})
    assert "OTHER" in (built.functions["trunk"] / "derive" / "views.py").read_text()
    assert (built.functions["trunk"] / "app.py").exists()


def test_the_declarations_of_what_the_trunk_only_defers_are_no_part_of_it(shop, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    (other / "rules.py").write_text("RULES = []\n")
    built = build(Project(shop).template, ["trunk"], build_folder("test-attach-trunk"), {"welcome": other})
    assert (built.functions["trunk"] / "app.py").exists()
    assert not (built.functions["trunk"] / "welcome").exists()
