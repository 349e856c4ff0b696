"""The command finds the project, checks what it declares, and says each fault in one line."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import boto3
import pytest
from botocore.config import Config

from cli import project as projects
from cli.errors import DeclarationFaults
from cli.main import main
from distributary import __version__
from distributary.dynamodb.key_schema import key_names
from distributary.errors import ConfigError

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
        ["up", "--console-port", "8000"],
        ["attach", "users", "derive", "--allow-writes"],
        ["attach", "users", "derive", "--console", "--until-drained"],
        ["console"],
        ["console", "--endpoint-url", "localhost:8000"],
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


@pytest.mark.parametrize(
    ("step", "option"),
    [
        ("plan", "--again"),
        ("plan", "--segments"),
        ("start", "--pause"),
        ("start", "--differences"),
        ("compare", "--refused"),
        ("swap", "--repair"),
        ("rollback", "--json"),
    ],
)
def test_a_step_of_a_reindex_refuses_what_belongs_to_another(capsys, step, option):
    assert main(["index", "reindex", step, "users", option, "1"]) == 2
    assert f"No such option: {option}" in capsys.readouterr().err


REPLICA = ["--replica-table", "r", "--replica-region", "eu-west-1"]
ON_TABLES = {
    "verify derive": ["--derived-table", "d", "--ledger-table", "l", "--tombstone-table", "t"],
    "verify index": ["--endpoint", "https://search.example.com", "--service", "none"],
    "verify replicate": REPLICA,
    "doctor": REPLICA,
}


@pytest.fixture
def nothing_configured(monkeypatch, tmp_path):
    """A machine on which boto3 finds neither a region nor credentials, and no endpoint."""
    for name in [each for each in os.environ if each.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))


@pytest.mark.parametrize("command", ON_TABLES)
def test_without_a_region_it_says_how_one_is_given(nothing_configured, capsys, command):
    assert main(["--project", str(ROOT), *command.split(), "users", *ON_TABLES[command]]) == 2
    said = capsys.readouterr().err
    assert said.startswith("no region: give --region, or set AWS_REGION; ")
    assert said.endswith("set what `distributary up` prints\n")


@pytest.mark.parametrize("command", ["verify derive", "verify index", "verify replicate", "doctor"])
def test_without_credentials_it_says_how_they_are_given(nothing_configured, monkeypatch, capsys, command):
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    main(["--project", str(ROOT), *command.split(), "users", *ON_TABLES[command]])
    printed = "".join(capsys.readouterr())
    assert "no AWS credentials: set AWS_PROFILE, or " in printed
    assert "set what `distributary up` prints" in printed


def test_a_table_whose_endpoint_does_not_answer_is_one_line_with_the_endpoint(nothing_configured, monkeypatch, capsys):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    once, address = Config(retries={"total_max_attempts": 1}), closed()
    with pytest.raises(ConfigError) as found:
        key_names(boto3.client("dynamodb", "eu-west-1", endpoint_url=address, config=once), "users")
    assert str(found.value).startswith(f"table users: nothing answers at {address}: start ")


def closed():
    """The address of a port that nothing listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.mark.parametrize(
    "command", ["index apply", "index doctor", "verify index users --endpoint", "index reindex plan users --endpoint"]
)
def test_opensearch_that_does_not_answer_is_one_short_line(capsys, command):
    address = closed()
    assert main(["--project", str(ROOT), *command.split(), address, "--service", "none"]) == 2
    assert capsys.readouterr().err == (
        f"nothing answers at {address}: start `distributary up`, or correct the address\n"
    )


KEYED = {
    "derive": ("views.py", VIEWS + "VIEWS = [Projection(name='mine', of=ITEM, pk='A#{id}', sk='B')]"),
    "index": ("indexes.py", INDEXES + "INDEXES = [Index(name='mine', of=ITEM, id='{id}', fields={})]"),
    "welcome": (
        "rules.py",
        "from distributary.welcome import *\nITEM = Entity(name='item', keys=('id',), attributes=('a',))\n"
        "RULES = [Rule(name='mine', of=ITEM, to='a', content={'en': Content('Hello', 'Hello')})]",
    ),
    "replicate": (
        "replica.py",
        "from distributary.replicate import Entity, Mirror\nREPLICA = Mirror(of=Entity(name='item', keys=('id',)))",
    ),
}


@pytest.mark.parametrize(
    ("function", "name"),
    [("derive", "view 'mine'"), ("index", "index 'mine'"), ("welcome", "rule 'mine'"), ("replicate", "mirror")],
)
def test_declared_keys_that_are_not_the_table_s_are_a_fault(tmp_path, function, name):
    file, text = KEYED[function]
    (tmp_path / "functions" / function).mkdir(parents=True)
    (tmp_path / "template.yaml").write_text("Resources: {}\n")
    (tmp_path / "functions" / function / file).write_text(text)
    found = projects.find(tmp_path)
    assert projects.faults(found, function) == projects.faults(found, function, ["id"]) == []
    assert projects.faults(found, function, ["user_id", "at"]) == [
        f"functions/{function}/{file}: {name}: entity 'item' has the keys id, and the table user_id, at: "
        "correct keys=; or table=, if the function reads several tables"
    ]


RULE = """from distributary.welcome import Content, Entity, Rule
USER = Entity(name='user', keys={keys}, attributes=('email',))
RULES = [Rule(name='hello', of=USER, to='email', content={{'en': Content('Hello', 'Hello')}}, trusted={trusted})]
"""
MIRROR = """from distributary.replicate import Entity, Mirror
REPLICA = Mirror(of=Entity(name='user', keys={keys}, attributes=('email',)), drop={drop})
"""
REGIONS = """from distributary.replicate import MultiActive, last_writer
REPLICA = MultiActive(regions=("eu-west-1"), rule=last_writer("at"))
"""


@pytest.mark.parametrize(
    ("function", "file", "text", "option"),
    [
        ("welcome", "rules.py", RULE.format(keys="('id')", trusted="()"), "keys=('id')"),
        ("welcome", "rules.py", RULE.format(keys="('id',)", trusted="('email')"), "trusted=('email')"),
        ("replicate", "replica.py", MIRROR.format(keys="('id')", drop="()"), "keys=('id')"),
        ("replicate", "replica.py", MIRROR.format(keys="('id',)", drop="('email')"), "drop=('email')"),
        ("replicate", "replica.py", REGIONS, "regions=('eu-west-1')"),
    ],
)
def test_a_tuple_without_its_comma_is_named_in_every_function(tmp_path, function, file, text, option):
    (tmp_path / "functions" / function).mkdir(parents=True)
    (tmp_path / "template.yaml").write_text("Resources: {}\n")
    (tmp_path / "functions" / function / file).write_text(text)
    with pytest.raises(DeclarationFaults) as found:
        projects.check(projects.find(tmp_path), [function])
    (fault,) = found.value.faults
    assert f"{option} is a string: write {option[:-1]},), with the comma" in fault
