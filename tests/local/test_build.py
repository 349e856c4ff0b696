"""Building by the project's own Makefiles."""

import shutil
import subprocess
import sys
from pathlib import Path

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


def test_other_declarations_replace_a_functions_own_and_leave_the_files(copy, tmp_path):
    folder, into = copy
    template, other = Template(folder / "template.yaml"), tmp_path / "other"
    other.mkdir()
    (other / "app.py").write_text("handler = 'another'\n")
    built = build(template, ["probe"], into, {"probe": other}).functions["probe"]
    own = build(template, ["probe"], into).functions["probe"]
    assert (built / "app.py").read_text() == "handler = 'another'\n"
    assert (own / "app.py").read_text() == (folder / "functions" / "probe" / "app.py").read_text()
    (folder / "functions" / "probe" / "more.py").write_text("")
    (folder / "functions" / "probe" / "Makefile").write_text('build-ProbeFunction:\n\tcp *.py "$(ARTIFACTS_DIR)/"\n')
    again = build(template, ["probe"], into, {"probe": other}).functions["probe"]
    assert again == built
    assert (again / "more.py").exists(), "a change of the function itself is not seen"


def test_other_declarations_count_where_the_build_compiled_the_functions_own(copy, tmp_path):
    folder, into = copy
    compiled = 'python3 -m compileall -q --invalidation-mode unchecked-hash "$(ARTIFACTS_DIR)"'
    rule = f'build-ProbeFunction:\n\tcp *.py "$(ARTIFACTS_DIR)/"\n\t{compiled}\n'.replace("python3", sys.executable)
    (folder / "functions" / "probe" / "Makefile").write_text(rule)
    other = tmp_path / "other"
    other.mkdir()
    (other / "app.py").write_text("handler = 'another'\n")
    built = build(Template(folder / "template.yaml"), ["probe"], into, {"probe": other}).functions["probe"]
    shown = subprocess.check_output([sys.executable, "-c", "import app; print(app.handler)"], cwd=built, text=True)
    assert shown == "another\n"


@pytest.mark.parametrize("file", ["apq.py", None])
def test_declarations_that_replace_nothing_are_refused_with_what_there_is(copy, tmp_path, file):
    folder, into = copy
    (tmp_path / "other").mkdir()
    if file:
        (tmp_path / "other" / file).write_text("")
    with pytest.raises(LocalError, match=r"other has no file .* of probe's: .*app\.py") as refused:
        build(Template(folder / "template.yaml"), ["probe"], into, {"probe": tmp_path / "other"})
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["archive", "derive", "index", "replicate", "suppress", "welcome"])
def test_a_functions_own_packages_are_built_and_its_tests_are_not(name, tmp_path):
    """`sam build` runs the same target of the same Makefile, in a copy of the folder."""
    folder, built = tmp_path / name, tmp_path / "built"
    shutil.copytree(Path("functions") / name, folder, ignore=shutil.ignore_patterns("__pycache__"))
    kept = ["shop/__init__.py", "shop/prices/__init__.py", "shop/prices/rules.json", "shop/a b.py"]
    left = ["tests/test_shop.py", "shop/tests/test_prices.py", "shop/__pycache__/x.pyc", ".cache/x.py", "test_views.py"]
    for file in (*kept, *left):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("")
    if name == "index":
        (folder / "requirements.txt").write_text("")
    built.mkdir()
    target = f"build-{name.capitalize()}Function"
    arguments = [f"ARTIFACTS_DIR={built}", f"PYTHON={sys.executable}", "PLATFORM="]
    subprocess.run(["make", "--silent", "-C", folder, target, *arguments], check=True)
    files = {str(path.relative_to(built)) for path in built.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    own = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == own - {*left, "Makefile", "requirements.in", "requirements.txt", "excludes.txt"}
    assert files >= {*kept, "app.py"}
