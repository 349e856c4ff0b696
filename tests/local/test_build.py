"""Building by the project's own Makefiles."""

import shutil

import pytest

from local.build import build
from local.errors import LocalError
from local.template import Template


@pytest.fixture
def copy(project, stack, tmp_path):
    stack.prepare(["probe"])
    folder = tmp_path / "project"
    shutil.copytree(project.folder, folder)
    built = tmp_path / "built"
    built.mkdir()
    (built / "runtime").symlink_to((project.artifacts / "runtime").resolve())
    shutil.copy(project.artifacts / "runtime.stamp", built / "runtime.stamp")
    return folder, built


def test_only_what_changed_is_built_again(copy):
    folder, into = copy
    template = Template(folder / "template.yaml")
    first = build(template, ["probe"], into).functions["probe"] / "app.py"
    made = first.stat().st_ino
    build(template, ["probe"], into)
    assert first.stat().st_ino == made
    (folder / "functions" / "probe" / "app.py").write_text("handler = None\n")
    build(template, ["probe"], into)
    assert first.read_text() == "handler = None\n"


def test_a_build_that_fails_is_one_line_and_keeps_what_was_built_before(copy):
    folder, into = copy
    template = Template(folder / "template.yaml")
    built = build(template, ["probe"], into).functions["probe"]
    (folder / "functions" / "probe" / "Makefile").write_text("build-ProbeFunction:\n\tfalse\n")
    with pytest.raises(LocalError, match="the build failed") as refused:
        build(template, ["probe"], into)
    assert "\n" not in str(refused.value)
    assert (built / "app.py").exists()
