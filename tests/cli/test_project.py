"""The command finds the project, checks what it declares, and says each fault in one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli.main import main
from distributary import __version__

ROOT = Path(__file__).resolve().parents[2]
ENTITY = (
    "from distributary.{slice} import Entity, {name}\nITEM = Entity(name='item', keys=('id',), attributes=('a',))\n"
)
VIEWS = ENTITY.format(slice="derive", name="Projection")
INDEXES = ENTITY.format(slice="index", name="Index")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project whose files a test writes; the current folder is one below it."""
    (tmp_path / "template.yaml").write_text("Resources: {}\n")
    for function in ("derive", "index"):
        (tmp_path / "functions" / function).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "functions")
    return tmp_path


def declare(project, views, indexes="INDEXES = []"):
    (project / "functions/derive/views.py").write_text(VIEWS + views)
    (project / "functions/index/indexes.py").write_text(INDEXES + indexes)


def test_views_are_those_of_the_nearest_project_above(project, capsys):
    declare(project, "VIEWS = [Projection(name='mine', of=ITEM, pk='A#{id}', sk='B')]")
    assert main(["views"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[0] == "mine"


def test_faults_of_views_and_of_indexes_are_shown_at_once(project, capsys, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    declare(project, "VIEWS = [Projection(name='mine', of=ITEM, pk='A#{no}', sk='B')]")
    assert main(["attach", "users", "derive", "index"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[0].startswith("functions/derive/views.py: view 'mine': key 'A#{no}' uses 'no'")
    assert said[-1] == "functions/index/indexes.py: no index is declared: add one to indexes.py"


@pytest.mark.parametrize(
    ("views", "says"),
    [
        ("VIEWS = [", "functions/derive/views.py:3: SyntaxError: "),
        ("\nVIEWS = [1 / 0]", "functions/derive/views.py:4: ZeroDivisionError: "),
        ("VIEWS = [Projection(nme='x')]", "functions/derive/views.py:3: TypeError: "),
        ("", "functions/derive/views.py: it does not define VIEWS"),
    ],
)
def test_an_error_of_the_user_s_file_is_one_line_with_its_place(project, capsys, views, says):
    declare(project, views)
    assert main(["views"]) == 1
    said = capsys.readouterr().err
    assert said.startswith(says)
    assert said.count("\n") == 1


def test_a_tuple_without_its_comma_is_one_line_that_says_so(project, capsys):
    declare(project, "VIEWS = [Projection(name='mine', of=ITEM, pk='A#{id}', sk='B', keep=('status'))]")
    assert main(["views"]) == 1
    said = capsys.readouterr().err
    assert "keep=('status') is a string: write keep=('status',), with the comma" in said
    assert said.count("\n") == 1


def test_outside_of_a_project_it_says_what_it_looked_for(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(["views"]) == 2
    assert "template.yaml" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["up", "--port", "80000"],
        ["attach", "users", "derive", "--endpoint-url", "localhost:8000"],
        ["event", "users", "--key", "id=1", "--endpoint-url", "localhost:8000"],
        ["verify", "derive"],
        ["nonsense"],
    ],
)
def test_wrong_usage_is_one_line_and_2(capsys, arguments):
    assert main(arguments) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_region_of_aws_region_is_taken(monkeypatch):
    from local.aws import Aws

    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    assert Aws.of_user(None, None).region == "eu-west-3"


def test_the_module_of_the_layer_is_the_same_command():
    path = os.pathsep.join([str(ROOT), str(ROOT / "layers/distributary")])
    command = [sys.executable, "-m", "distributary", "--version"]
    done = subprocess.run(command, env={"PYTHONPATH": path}, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{__version__}\n")


def test_a_python_without_the_packages_gets_one_line():
    command = [sys.executable, "-S", "-m", "cli", "views"]
    done = subprocess.run(command, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "this Python lacks Distributary's packages: run `make install`, then `. .venv/bin/activate`\n"
