"""A deployed function whose declarations cannot be loaded says in one line where and why."""

import runpy
import shutil
import sys
from pathlib import Path

import pytest

from distributary.consumer.declared import declared_beside
from distributary.errors import ConfigError

FUNCTIONS = Path(__file__).parents[2] / "functions"
ENTITY = "from distributary.{0} import *\nITEM = Entity(name='item', keys=('id',))\n\n"
LOADERS = {
    "derive/app.py": ("derive", "views", "VIEWS = [Aggregate(name='sums', of=ITEM, foo=1)]"),
    "index/app.py": ("index", "indexes", "INDEXES = [Index(name='items', of=ITEM, foo=1)]"),
    "index/purge.py": ("index", "indexes", "INDEXES = [Index(name='items', of=ITEM, foo=1)]"),
    "welcome/app.py": ("welcome", "rules", "RULES = [Rule(name='hello', of=ITEM, foo=1)]"),
    "replicate/app.py": ("replicate", "replica", "REPLICA = Mirror(of=ITEM, foo=1)"),
}


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Loads a function's module as Lambda does, with a declarations file of this text beside it."""

    def load(loader, name, text):
        monkeypatch.delenv("AWS_LAMBDA_INITIALIZATION_TYPE", raising=False)
        file = shutil.copy(FUNCTIONS / loader, tmp_path)
        (tmp_path / f"{name}.py").write_text(text)
        monkeypatch.delitem(sys.modules, name, raising=False)
        monkeypatch.syspath_prepend(str(tmp_path))
        try:
            runpy.run_path(str(file))
        finally:
            sys.modules.pop(name, None)

    return load


@pytest.mark.parametrize("loader", LOADERS)
def test_an_unknown_option_is_an_error_with_file_line_and_option(load, loader):
    package, name, text = LOADERS[loader]
    with pytest.raises(ConfigError) as found:
        load(loader, name, ENTITY.format(package) + text)
    (fault,) = found.value.faults
    assert fault.startswith(f"{name}.py:4: TypeError: ")
    assert fault.endswith("got an unexpected keyword argument 'foo'")


def test_faults_of_declarations_are_reported_as_they_were_found(tmp_path):
    with pytest.raises(ConfigError) as found, declared_beside(str(tmp_path / "app.py")):
        raise ConfigError(["one fault", "another"])
    assert found.value.faults == ["one fault", "another"]


@pytest.mark.parametrize(
    ("error", "fault"), [(RuntimeError("no"), "RuntimeError: no"), (SyntaxError("never"), "SyntaxError: never")]
)
def test_what_arises_outside_the_folder_is_an_error_without_a_place(tmp_path, error, fault):
    with pytest.raises(ConfigError) as found, declared_beside(str(tmp_path / "app.py")):
        raise error
    assert found.value.faults == [fault]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("VIEWS = [", "views.py:1: SyntaxError: '[' was never closed"),
        ("\nimport nowhere", "views.py:2: ModuleNotFoundError: No module named 'nowhere'"),
        ("def made():\n    return 1 / 0\nVIEWS = made()", "views.py:2: ZeroDivisionError: division by zero"),
    ],
)
def test_whatever_stops_a_declarations_file_is_one_line_with_its_place(load, text, fault):
    with pytest.raises(ConfigError) as found:
        load("derive/app.py", "views", text)
    assert str(found.value) == fault


def test_a_declarations_file_without_the_name_is_one_line(load):
    with pytest.raises(ConfigError, match=r"^app.py:\d+: ImportError: cannot import name 'VIEWS' from 'views'"):
        load("derive/app.py", "views", "OTHER = []")


def test_an_error_of_the_layer_itself_names_the_line_that_called_it(load):
    text = ENTITY.format("derive") + "VIEWS = [electro_entity('user', 'app')(1)]"
    with pytest.raises(ConfigError, match=r"^views.py:4: "):
        load("derive/app.py", "views", text)
