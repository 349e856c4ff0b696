"""`distributary preview` writes what a rule would send, and says why where it sends nothing."""

import stat
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "events"


def preview(tmp_path, rule, event, path=""):
    return subprocess.run(
        [sys.executable, "-m", "cli", "preview", rule, "-e", str(event), "--to", tmp_path / "out"],
        env={"PYTHONPATH": str(ROOT), "PATH": str(path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_text_and_html_are_written_and_without_a_browser_it_says_so(tmp_path):
    done = preview(tmp_path, "welcome", EVENTS / "insert.json", path=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Welcome, Ada Lovelace" in (tmp_path / "out/welcome.txt").read_text()
    assert "Hello Ada Lovelace" in (tmp_path / "out/welcome.html").read_text()
    assert "no picture: none of chromium" in done.stdout


def test_a_browser_that_is_there_is_asked_for_a_picture(tmp_path):
    browser = tmp_path / "chromium"
    browser.write_text(
        '#!/bin/sh\nfor each in "$@"; do case $each in --screenshot=*) echo > "${each#*=}";; esac; done\n'
    )
    browser.chmod(browser.stat().st_mode | stat.S_IEXEC)
    done = preview(tmp_path, "welcome", EVENTS / "insert.json", path=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out/welcome.png").exists()
    assert done.stdout.splitlines()[-1].endswith("welcome.png")


@pytest.mark.parametrize(
    ("rule", "event", "status", "says"),
    [
        ("welcom", "insert", 2, "there is no rule 'welcom': name one of welcome"),
        ("welcome", "remove", 1, "none of its 1 changes is one that rule 'welcome' writes about"),
        ("welcome", "no-address", 1, "'email'"),
        ("welcome", "no-such-event", 2, "no-such-event.json"),
    ],
)
def test_what_makes_no_message_is_one_line(tmp_path, rule, event, status, says):
    done = preview(tmp_path, rule, EVENTS / f"{event}.json")
    assert (done.returncode, done.stderr.count("\n")) == (status, 1), done.stderr
    assert says in done.stderr
