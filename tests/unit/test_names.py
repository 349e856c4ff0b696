"""A test's name can be read in one line of a report."""

import ast
from pathlib import Path

LONGEST = 75


def names(file):
    """Of the tests in a file."""
    functions = (node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.FunctionDef))
    return [node.name for node in functions if node.name.startswith("test_")]


def test_no_name_of_a_test_is_too_long():
    files = sorted(Path(__file__).parents[1].rglob("test_*.py"))
    assert len(files) > 100
    assert [f"{file.name}: {name}" for file in files for name in names(file) if len(name) >= LONGEST] == []
