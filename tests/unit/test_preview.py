"""`distributary preview` writes what a rule would send, and says why where it sends nothing."""

import stat
from pathlib import Path
from types import SimpleNamespace

import pytest

from cli.main import main

ROOT = Path(__file__).parents[2]
EVENTS = ROOT / "events"


@pytest.fixture
def preview(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)

    def run(rule, event, path=""):
        monkeypatch.setenv("PATH", str(path))
        status = main(["preview", rule, "-e", str(event), "--to", str(tmp_path / "out")])
        said = capsys.readouterr()
        return SimpleNamespace(returncode=status, stdout=said.out, stderr=said.err)

    return run


def test_text_and_html_are_written_and_without_a_browser_it_says_so(tmp_path, preview):
    done = preview("welcome", EVENTS / "insert.json", path=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Welcome, Ada Lovelace" in (tmp_path / "out/welcome.txt").read_text()
    assert "Hello Ada Lovelace" in (tmp_path / "out/welcome.html").read_text()
    assert "no picture: none of chromium" in done.stdout


def test_a_browser_that_is_there_is_asked_for_a_picture(tmp_path, preview):
    browser = tmp_path / "chromium"
    browser.write_text(
        '#!/bin/sh\nfor each in "$@"; do case $each in --screenshot=*) echo > "${each#*=}";; esac; done\n'
    )
    browser.chmod(browser.stat().st_mode | stat.S_IEXEC)
    done = preview("welcome", EVENTS / "insert.json", path=tmp_path)
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
def test_what_makes_no_message_is_one_line(preview, rule, event, status, says):
    done = preview(rule, EVENTS / f"{event}.json")
    assert (done.returncode, done.stderr.count("\n")) == (status, 1), done.stderr
    assert says in done.stderr
