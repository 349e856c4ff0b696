"""How far a verification is, for people and for logs."""

import io

import pytest

from distributary.verify.progress import SECONDS, progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_log_gets_a_line_every_ten_seconds_and_no_more():
    now, log = [0.0], io.StringIO()
    with progress({"items": 1200, "rows": 0}, log, lambda: now[0]) as told:
        for _ in range(30):
            now[0] += 1
            told("items", 40)
        told("rows", 3)
    lines = log.getvalue().splitlines()
    assert len(lines) == 30 / SECONDS
    assert lines[0] == "verify: items 400 of about 1,200 (40/s, 0:00:20 left), rows 0"
    assert lines[2] == "verify: items 1,200 of about 1,200 (40/s), rows 0"


def test_a_line_tells_the_last_cause_of_what_is_not_done_on_one_line():
    now, log = [0.0], io.StringIO()
    with progress({"items": 0}, log, lambda: now[0], "backfill") as told:
        told("items", 5, "no locale")
        told("items", 5, "total is\nno number")
        now[0] = SECONDS
        told("items", 10)
    assert log.getvalue() == "backfill: items 20 (2.0/s); not done: total is\\nno number\n"


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_a_terminal_gets_bars_and_a_log_none(stream):
    to = stream()
    with progress({"items": 10, "rows": 0}, to) as told:
        for kind in ("items", "rows"):
            told(kind, 5)
    assert ("items" in to.getvalue()) is isinstance(to, Terminal)


def test_bars_show_the_speed_and_the_last_cause(monkeypatch):
    """A cause is text: what looks like markup in it stays."""
    monkeypatch.setenv("COLUMNS", "140")
    now, to = [0.0], Terminal()
    with progress({"items": 10}, to, lambda: now[0]) as told:
        now[0] = 2.0
        told("items", 5, "[red]no number\x1b[2J")
        told("items", 1)
    assert "3.0/s" in to.getvalue()
    assert "not done: [red]no number\\x1b[2J" in to.getvalue()


def test_a_terminal_without_rich_gets_lines(monkeypatch):
    monkeypatch.setattr("distributary.verify.progress.find_spec", lambda _: None)
    now, to = [0.0], Terminal()
    with progress({"items": 10}, to, lambda: now[0]) as told:
        now[0] = SECONDS
        told("items", 5)
    assert to.getvalue() == "verify: items 5 of about 10 (0.5/s, 0:00:10 left)\n"
