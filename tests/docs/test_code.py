"""The pages' code runs: Python declares what is valid, and its tests pass; JSON is JSON; make knows its targets."""

import json
import re

import pytest

from cli import shapes
from distributary import derive, index, replicate, welcome
from tests.docs.pages import DOCS, PAGES, ROOT, blocks, name

CHECKS = {"VIEWS": derive.check, "INDEXES": index.check, "RULES": welcome.check, "REPLICA": replicate.check}
PYTHON = [(page, code) for page in PAGES for code in blocks(page, "python")]
JSON = [(page, code) for page in PAGES for code in blocks(page, "json")]
SHELL = [(page, line) for page in PAGES for code in blocks(page, "sh") for line in code.splitlines()]


def titles(cases):
    return [f"{name(page)}-{number}" for number, (page, _) in enumerate(cases)]


@pytest.mark.parametrize(("page", "code"), PYTHON, ids=titles(PYTHON))
def test_a_python_block_declares_what_is_valid(page, code):
    program = compile(code, name(page), "exec")
    if code.startswith("# shop.py"):
        return  # the tutorial's program, which needs its table
    names: dict = {}
    exec(program, names)
    for declared, check in CHECKS.items():
        if declared in names:
            assert shapes.faults(declared, names[declared]) == []
            assert check(names[declared])
    for test in [each for each in names if each.startswith("test_")]:
        names[test]()


@pytest.mark.parametrize(("page", "code"), JSON, ids=titles(JSON))
def test_a_json_block_is_json(page, code):
    json.loads(code)


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_make_command_of_a_page_is_a_target(page):
    text = page.read_text()
    named = re.findall(r"`make ([a-z-]+)", text)
    named += [target for code in blocks(page, "sh") for target in re.findall(r"^make ([a-z-]+)", code, re.MULTILINE)]
    assert set(named) <= targets()


def test_shell_blocks_hold_make_the_shop_and_the_environment_only():
    allowed = r"make |\. \.venv/bin/activate$|export |python shop\.py |git restore |rm shop\.py$"
    assert [line for _, line in SHELL if not re.match(allowed, line)] == []


def test_the_tutorials_steps_are_functions_of_its_program():
    (program,) = [code for code in blocks(DOCS / "tutorial.md", "python") if code.startswith("# shop.py")]
    steps = {line.split()[2] for _, line in SHELL if line.startswith("python shop.py")}
    assert steps <= set(re.findall(r"^def (\w+)\(\) -> None", program, re.MULTILINE))
