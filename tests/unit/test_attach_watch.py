"""What `attach` prints while it runs."""

import io
import json

import pytest
from rich.console import Console

from local.attach_report import MadeReport, Watch, say_due, say_undelivered
from local.esm.tally import Tally
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


def test_records_that_no_destination_took_are_named_at_the_end():
    tally, console = Tally(), Console(file=io.StringIO(), width=40)
    tally.refused(2, "shard s-1, records 7 to 8: arn:aws:s3:::parking refused them: AccessDenied [403]")
    say_undelivered({"derive": tally, "index": Tally()}, console)
    assert console.file.getvalue() == (
        "derive: given up: shard s-1, records 7 to 8: arn:aws:s3:::parking refused them: AccessDenied [403]\n"
    )
    assert tally.counts() == {"undelivered": 2}


def test_a_rebuild_that_is_due_is_printed_with_a_command_that_there_is():
    class Stack:
        def counted(self, name):
            return {} if name == "welcome" else {"RebuildDue": 2}

    console = Console(file=io.StringIO(), width=40)
    say_due(Stack(), ("derive", "index", "welcome"), "orders", console)
    assert console.file.getvalue().splitlines() == [
        "derive: a rebuild is due, `distributary doctor orders --derive` says of which views",
        "index: a rebuild is due, `distributary rebuild index --table orders` does it",
    ]
