"""Commands about what the project declares."""

import math
import shutil
import subprocess
from pathlib import Path
from typing import Annotated, Any

import typer

from cli import project as projects
from cli.costs import Size
from cli.deployed import reported
from cli.errors import UsageFault
from cli.options import Event, Json, StackEndpoint, StackRegion, checked_endpoint, read_event
from cli.stack import Stack, clients
from cli.view_changes import difference
from distributary.errors import ConfigError, Rejected
from distributary.stream import records as stream_records
from distributary.stream.change import Change
from distributary.welcome.messages import Message, Stored
from distributary.welcome.rules import Rule, compose, content
from local import outbox

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
WIDTH, HEIGHT = 800, 1000
"""Of the picture, in pixels."""


def views(
    context: typer.Context,
    diff: Annotated[
        bool, typer.Option("--diff", help="Compare with what a stack's rows were written under; 1 if they differ.")
    ] = False,
    stack: Annotated[str | None, typer.Option(help="The deployed stack, for --diff.")] = None,
    items: Annotated[int | None, typer.Option(min=1, help="Of the source, where its size cannot be asked for.")] = None,
    item_size: Annotated[int | None, typer.Option(min=1, metavar="BYTES", help="Of an item, with --items.")] = None,
    members: Annotated[int, typer.Option(min=1, help="Members that an item has in a view with `each`.")] = 1,
    price: Annotated[
        str | None, typer.Option(metavar="READ,WRITE", help="Dollars for a million read and write units.")
    ] = None,
    endpoint_url: StackEndpoint = None,
    region: StackRegion = None,
    json: Json = None,
) -> int:
    """Print each declared view, the primitive it uses, and its write units.

    With --diff: what has to be filled, rebuilt and retired once the declarations are deployed, and what it costs.
    """
    from distributary.derive.described import described
    from distributary.derive.validation import table as units

    if diff != (stack is not None):
        raise UsageFault("--diff needs --stack, and --stack needs --diff: give both or none")
    if stack is None and (items or item_size or price or json):
        raise UsageFault("--items, --item-size, --price and --json are for --diff: give --diff and --stack as well")
    if (items is None) != (item_size is None):
        raise UsageFault("--items needs --item-size, and --item-size needs --items: give both or none")
    prices = _prices(price)
    with projects.declarations(projects.find(context.obj), "derive") as found:
        if stack is None:
            print(units(found))
            return 0
        now = {view.name: described(view) for view in found}
    target = Stack.find(stack, clients(checked_endpoint(endpoint_url), region)).function("derive")
    given = None if items is None or item_size is None else Size(items, item_size)
    changed = list(difference(target, now, given, members))
    lines = [line for each in changed for line in each.lines(stack, prices)]
    report = {"changes": [each.as_json(stack, prices) for each in changed]}
    return reported(report, lines or ["nothing is to be filled, rebuilt or retired"], json, 1 if changed else 0)


def _prices(given: str | None) -> tuple[float, float] | None:
    if given is None:
        return None
    try:
        read, write = (float(each) for each in given.split(","))
        if not (0 <= read < math.inf and 0 <= write < math.inf):
            raise ValueError
    except ValueError:
        raise UsageFault(f"--price {given}: give two numbers, such as 0.125,0.625") from None
    return read, write


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
