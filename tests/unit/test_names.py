"""A test's name can be read in one line of a report."""

import re
from pathlib import Path

LONGEST = 75


def names(file):
    """Of the tests in a file."""
    return re.findall(r"^ *def (test_\w+)", file.read_text(), re.MULTILINE)


def test_no_name_of_a_test_is_too_long():
    files = sorted(Path(__file__).parents[1].rglob("test_*.py"))
    assert len(files) > 100
    assert [f"{file.name}: {name}" for file in files for name in names(file) if len(name) >= LONGEST] == []
