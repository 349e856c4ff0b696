"""How far a verification is, for people and for logs."""

import pytest

from distributary.verify.replica.progress import EVERY_SECONDS, Lines, progress


def test_a_log_gets_a_line_every_ten_seconds_and_no_more(capsys):
    now = [0.0]
    told = Lines({"items": 1200}, lambda: now[0])
    for _ in range(30):
        now[0] += 1
        told("items", 40)
    told("rows", 3)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 30 / EVERY_SECONDS
    assert lines[0] == "verify: items 400 of about 1,200, rows 0, second looks 0"


@pytest.mark.parametrize("terminal", [True, False])
def test_whatever_is_told_goes_to_stderr_alone(terminal, capsys):
    with progress({"items": 10}, terminal) as told:
        for kind in ("items", "rows", "second looks"):
            told(kind, 5)
    said = capsys.readouterr()
    assert said.out == ""
    assert ("items" in said.err) is terminal


def test_a_terminal_without_rich_gets_lines(monkeypatch):
    monkeypatch.setattr("distributary.verify.replica.progress.find_spec", lambda _: None)
    with progress({}, True) as told:
        assert isinstance(told, Lines)
