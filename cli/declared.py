"""Commands about what the project declares."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import project as projects
from cli.errors import UsageFault
from cli.options import Event, StackEndpoint, StackRegion, checked_endpoint, read_event
from cli.stack import Stack, clients
from distributary.errors import ConfigError, Rejected
from distributary.feed.invoke import Feed
from distributary.stream import records as stream_records
from distributary.stream.change import Change
from distributary.welcome.messages import Message, Stored
from distributary.welcome.rules import Rule, compose, content
from local import outbox

if TYPE_CHECKING:
    from distributary.stream.described import Changes

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTH, HEIGHT = 800, 1000
"""Of the picture, in pixels."""


def views(
    context: typer.Context,
    diff: Annotated[
        bool, typer.Option("--diff", help="Compare with what a stack's rows were written under; 1 if they differ.")
    ] = False,
    stack: Annotated[str | None, typer.Option(help="The deployed stack, for --diff.")] = None,
    endpoint_url: StackEndpoint = None,
    region: StackRegion = None,
) -> int:
    """Print each declared view, the primitive it uses, and its write units."""
    from distributary.derive.described import described
    from distributary.derive.validation import table
    from distributary.stream.described import changes

    if diff != (stack is not None):
        raise UsageFault("--diff needs --stack, and --stack needs --diff: give both or none")
    with projects.declarations(projects.find(context.obj), "derive") as found:
        if stack is None:
            print(table(found))
            return 0
        now = {view.name: described(view) for view in found}
    target = Stack.find(stack, clients(checked_endpoint(endpoint_url), region)).function("derive")
    told = Feed(target.invoke).ask({"declarations": {}}, "declarations")
    since = told.get("since", {})
    written = {name: [first, *since.get(name, ())] for name, first in told["written"].items()}
    lines = list(_differences(changes(written, now), stack))
    print("\n".join(lines) or "nothing is to be filled, rebuilt or retired")
    return 1 if lines else 0


def _differences(found: "Changes", stack: str) -> Iterator[str]:
    """A line for each view that needs something once these declarations are deployed."""
    for name in found.new:
        yield f"new      {name}: distributary backfill TABLE --function derive --view {name} --stack {stack}"
    for name, fields in found.changed.items():
        yield f"changed  {name} ({', '.join(fields)}): distributary rebuild derive --view {name} --stack {stack}"
    for name in found.removed:
        yield f"removed  {name}: distributary retire {name} --stack {stack}"


def preview(
    context: typer.Context,
    rule: Annotated[str, typer.Argument(metavar="RULE", help="The rule's name in rules.py.")],
    event: Event,
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the files are written.")] = Path(".preview"),
) -> int:
    """Write a rule's message for an event as files: text, HTML, and a picture if a browser is installed."""
    with projects.declarations(projects.find(context.obj), "welcome") as rules:
        chosen = next((each for each in rules if each.name == rule), None)
        if chosen is None:
            raise ConfigError(f"there is no rule '{rule}': name one of {', '.join(each.name for each in rules)}")
        try:
            message = _message(chosen, event)
        except (Rejected, LookupError) as error:
            typer.echo(str(error), err=True)
            return 1
        for line in written(message, to):
            print(line)
    return 0


def _message(rule: Rule, event: str) -> Message:
    """Of the first change that the rule is about. Raises LookupError if there is none."""
    given: Any = read_event(event)
    changes = [each for each in stream_records.decode(given, 0) if isinstance(each, Change)]
    for change in changes:
        item = rule.on.item(change)
        if item is not None and rule.wants(item):
            if isinstance(content(rule, item), Stored):
                raise LookupError(f"rule '{rule.name}' has its content stored at the provider: look at it there")
            return compose(rule, item, "preview")
    raise LookupError(f"{event}: none of its {len(changes)} changes is one that rule '{rule.name}' writes about")


def written(message: Message, folder: Path) -> list[str]:
    """The names of the files, and what could not be made and why."""
    try:
        files = outbox.write(folder, message.rule, message.to, message.subject, message.text, message.html)
    except OSError as error:
        raise UsageFault(f"--to {folder}: {error.strerror}") from None
    return [*map(str, files), *(_pictured(page) for page in files[1:])]


def _pictured(page: Path) -> str:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return f"no picture: none of {', '.join(BROWSERS)} is on the PATH"
    picture = page.with_suffix(".png")
    size, to = f"--window-size={WIDTH},{HEIGHT}", f"--screenshot={picture.resolve()}"
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", size, to]
    done = subprocess.run([*command, page.resolve().as_uri()], capture_output=True, text=True, timeout=60)
    return str(picture) if picture.exists() else f"no picture: {browser} ended with {done.returncode}"
