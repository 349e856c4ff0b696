"""What `attach` prints while it runs."""

import io
import json

import pytest
from rich.console import Console

from local.attach_report import MadeReport, Watch
from local.function_logs import LogFiles

PARKED = {"message": "parked", "event_id": "e-1", "cause": "view 'sales': 'total' is no [number]"}
FAILED = {"message": "failed", "changes": 3, "cause": "DynamoDB: ThrottlingException"}


@pytest.fixture
def watch(tmp_path):
    return Watch(LogFiles(tmp_path), Console(file=io.StringIO(), width=40))


def said(watch):
    return watch._console.file.getvalue()


def test_the_cause_of_a_parked_or_failed_change_is_printed_at_once(watch):
    for entry in (PARKED, FAILED):
        watch("derive", json.dumps(entry))
    assert said(watch).splitlines() == [
        "derive: parked: event e-1: view 'sales': 'total' is no [number]",
        "derive: failed: 3 changes: DynamoDB: ThrottlingException",
    ]
    assert watch.causes == {"derive": FAILED["cause"]}
    assert len(watch.files.path("derive").read_text().splitlines()) == 2


def test_a_failure_that_comes_again_is_printed_once_but_each_parked_change_is(watch):
    for _ in range(3):
        watch("derive", json.dumps(FAILED))
        watch("derive", json.dumps(PARKED))
    watch("index", json.dumps(FAILED))
    watch("derive", json.dumps({**FAILED, "cause": "another"}))
    assert [line.split(":")[:2] for line in said(watch).splitlines()] == [
        ["derive", " failed"],
        *[["derive", " parked"]] * 3,
        ["index", " failed"],
        ["derive", " failed"],
    ]
    assert watch.causes["derive"] == "another"


@pytest.mark.parametrize("line", ["START", "[]", "{}", json.dumps({"message": "started", "cause": "none"})])
def test_other_lines_are_only_kept(watch, line):
    watch("derive", line)
    assert said(watch) == ""
    assert watch.files.path("derive").read_text() == f"{line}\n"


class Progress:
    """A number that a test raises, and what is listed."""

    def __init__(self):
        self.number, self.listed = 0, ["derive: row a"]

    def __call__(self):
        return self.number

    def look(self):
        return self.listed


@pytest.fixture
def progress():
    return Progress()


@pytest.fixture
def report(progress):
    return MadeReport([progress], progress, Console(file=io.StringIO(), width=40))


def test_what_was_made_is_printed_once_when_the_functions_come_to_rest(progress, report):
    printed = report._console.file.getvalue
    report.look(0)
    assert printed() == "", "nothing was done"
    progress.number = 3
    report.look(0)
    assert printed() == "", "it was done just now, and more may follow"
    report.look(0)
    report.look(0)
    assert printed() == "derive: row a\n"
