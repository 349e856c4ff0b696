"""Every command of the pages has the form that the `distributary` command takes, and commands.md names every option."""

import re
import shlex

import pytest
import typer

from cli.main import app
from tests.docs.pages import DOCS, PAGES, blocks, commands, name, section


def leaves(command, path=()):
    """Each command that does something, by its words."""
    inner = getattr(command, "commands", None)
    if inner is None:
        return {" ".join(path): command}
    return {form: leaf for word, each in inner.items() for form, leaf in leaves(each, (*path, word)).items()}


FORMS = leaves(typer.main.get_command(app))
GIVEN = [(page, each) for page in PAGES for each in commands(page)]
OURS = [
    (page, part.strip())
    for page, command in GIVEN
    for part in command.split(" | ")
    if part.strip().startswith("distributary ")
]


def parse(command: str) -> None:
    """Has the command's own parser read the words; nothing is run. Raises for what it does not take."""
    words = shlex.split(command)[1:]
    form = next((form for form in FORMS if words[: len(form.split())] == form.split()), None)
    assert form, "there is no such command"
    FORMS[form].make_context(form, words[len(form.split()) :])


@pytest.mark.parametrize(("page", "command"), OURS, ids=[f"{name(page)}-{at}" for at, (page, _) in enumerate(OURS)])
def test_a_command_of_a_page_is_one_that_distributary_takes(page, command):
    parse(command)


def test_console_blocks_hold_commands_of_distributary_aws_and_sam_only():
    assert {command.split()[0] for _, command in GIVEN} <= {"distributary", "aws", "sam"}


def test_console_blocks_hold_nothing_but_commands():
    lines = [
        line for page in PAGES for code in blocks(page, "console") for line in code.replace("\\\n", "").splitlines()
    ]
    assert [line for line in lines if line.strip() and not line.startswith("$ ")] == []


@pytest.mark.parametrize("form", FORMS)
def test_the_page_of_commands_names_every_option(form):
    words = form.split()
    heading = " ".join(words[:2]) if words[0] == "index" else words[0]
    text = section(DOCS / "commands.md", f"## {heading}")
    text += section(DOCS / "verifying.md", "## Options") if "verify" in text else ""
    assert form.split()[-1] in text
    options = [each for each in FORMS[form].params if each.param_type_name == "option" and not each.hidden]
    unnamed = [each.opts for each in options if not any(re.search(rf"{opt}\b", text) for opt in each.opts)]
    assert [opts for opts in unnamed if opts != ["--help"]] == []
