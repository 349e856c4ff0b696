"""`make preview RULE=welcome EVENT=events/insert.json`: a rule's message for an event, as files to look at."""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from distributary.errors import ConfigError, DistributaryError, Rejected
from distributary.stream import records as stream_records
from distributary.stream.change import Change
from distributary.welcome.messages import Message, Stored
from distributary.welcome.rules import Rule, check, compose, content
from rules import RULES

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTH, HEIGHT = 800, 1000
"""Of the picture, in pixels."""


def main(arguments: Sequence[str] | None = None) -> int:
    """0 if the message was written, 1 if the event makes none, 2 for wrong usage."""
    parser = argparse.ArgumentParser("preview", description=__doc__)
    parser.add_argument("rule")
    parser.add_argument("event", type=Path)
    parser.add_argument("--to", type=Path, default=Path(".preview"), help="the folder for the files (.preview)")
    options = parser.parse_args(arguments)
    try:
        rule = _named(options.rule)
        message = _message(rule, options.event)
    except (Rejected, LookupError) as error:
        print(f"preview: {error}", file=sys.stderr)
        return 1
    except (DistributaryError, OSError, ValueError) as error:
        print(f"preview: {error}", file=sys.stderr)
        return 2
    for line in written(message, options.to):
        print(line)
    return 0


def _named(name: str) -> Rule:
    rules = check(RULES)
    found = next((rule for rule in rules if rule.name == name), None)
    if found is None:
        raise ConfigError(f"there is no rule '{name}': name one of {', '.join(rule.name for rule in rules)}")
    return found


def _message(rule: Rule, event: Path) -> Message:
    """Of the first change that the rule is about. Raises LookupError if there is none."""
    changes = [each for each in stream_records.decode(json.loads(event.read_text()), 0) if isinstance(each, Change)]
    for change in changes:
        item = rule.on.item(change)
        if item is not None and rule.wants(item):
            if isinstance(content(rule, item), Stored):
                raise LookupError(f"rule '{rule.name}' has its content stored at the provider: look at it there")
            return compose(rule, item, "preview")
    raise LookupError(f"{event}: none of its {len(changes)} changes is one that rule '{rule.name}' writes about")


def written(message: Message, folder: Path) -> list[str]:
    """The names of the files, and what could not be made and why."""
    folder.mkdir(parents=True, exist_ok=True)
    text = folder / f"{message.rule}.txt"
    text.write_text(f"To: {message.to}\nSubject: {message.subject}\n\n{message.text}")
    if message.html is None:
        return [str(text)]
    page = folder / f"{message.rule}.html"
    page.write_text(message.html)
    return [str(text), str(page), _pictured(page)]


def _pictured(page: Path) -> str:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return f"no picture: none of {', '.join(BROWSERS)} is on the PATH"
    picture = page.with_suffix(".png")
    size, to = f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={picture.resolve()}"
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", size, to]
    done = subprocess.run([*command, page.resolve().as_uri()], capture_output=True, text=True, timeout=60)
    return str(picture) if picture.exists() else f"no picture: {browser} ended with {done.returncode}"


if __name__ == "__main__":
    sys.exit(main())
