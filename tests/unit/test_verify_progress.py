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
    assert lines[0] == "verify: items 400 of about 1,200, rows 0"


@pytest.mark.parametrize("stream", [Terminal, io.StringIO])
def test_a_terminal_gets_bars_and_a_log_none(stream):
    to = stream()
    with progress({"items": 10, "rows": 0}, to) as told:
        for kind in ("items", "rows"):
            told(kind, 5)
    assert ("items" in to.getvalue()) is isinstance(to, Terminal)


def test_a_terminal_without_rich_gets_lines(monkeypatch):
    monkeypatch.setattr("distributary.verify.progress.find_spec", lambda _: None)
    now, to = [0.0], Terminal()
    with progress({"items": 10}, to, lambda: now[0]) as told:
        now[0] = SECONDS
        told("items", 5)
    assert to.getvalue() == "verify: items 5 of about 10\n"
