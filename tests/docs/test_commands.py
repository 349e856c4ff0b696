"""Every command of the pages has the form that the `distributary` command takes, and commands.md names every option."""

import re
import shlex

import pytest

from tests.docs.pages import DOCS, PAGES, blocks, commands, name, section

AWS = ("--endpoint-url", "--region")
DECLARED = ("--parameter", "--declared")
SEARCH = ("--endpoint", "--service", "--secret", "--index", *AWS, "--segments", "--pause", "--json", "--generation")
REPLICA = ("--replica-table", "--replica-region", "--target-endpoint-url", "--tombstone-table", "--version-attribute")
STEPS = ("plan", "start", "compare", "swap", "rollback")
REINDEX = (*SEARCH[:-1], "--to", "--function")
VERIFY = ("--segments", "--pause", "--json", "--generation", "--tombstone-days", *AWS)
FORMS = {
    "up": ((0, 0), ("--port", "--opensearch-port"), ()),
    "attach": ((2, 5), (*AWS, *DECLARED), ("--backfill", "--until-drained", "--embedded")),
    "invoke": ((1, 1), ("-e", "--region", *DECLARED), ()),
    "demo": ((0, 0), ("--changes", "--seed", "--report"), ()),
    "views": ((0, 0), (), ()),
    "preview": ((1, 1), ("-e", "--to"), ()),
    "event": ((1, 1), ("--key", "--kind", *AWS), ()),
    "doctor": ((1, 1), (*AWS, *REPLICA, "--function"), ("--json",)),
    "index apply": ((1, 1), ("--service", "--secret", "--generation"), ()),
    **{f"index reindex {step}": ((1, 1), REINDEX, ("--writing-both",)) for step in STEPS},
    "index reindex start": ((1, 1), REINDEX, ("--writing-both", "--again")),
    "index reindex compare": ((1, 1), REINDEX, ("--writing-both", "--repair")),
    "index reindex swap": ((1, 1), (*REINDEX, "--differences"), ("--writing-both",)),
    "verify derive": (
        (1, 1),
        (*VERIFY, "--derived-table", "--ledger-table", "--tombstone-table", "--view", "--export"),
        ("--repair",),
    ),
    "verify index": ((1, 1), SEARCH, ("--repair",)),
    "verify replicate": ((1, 1), (*VERIFY, *REPLICA, "--read-units", "--sample", "--since"), ("--repair",)),
}
"""By command: how many arguments, the options that take a value, the options that take none."""
GIVEN = [(page, each) for page in PAGES for each in commands(page)]
OURS = [
    (page, part.strip())
    for page, command in GIVEN
    for part in command.split(" | ")
    if part.strip().startswith("distributary ")
]


def fault(command: str) -> str:
    """What is wrong with a command; empty if nothing is."""
    words = shlex.split(command)[1:]
    form = next((form for form in FORMS if words[: len(form.split())] == form.split()), None)
    if form is None:
        return "there is no such command"
    (least, most), valued, flags = FORMS[form]
    rest, arguments = words[len(form.split()) :], 0
    while rest:
        word = rest.pop(0)
        if word in valued:
            if not rest:
                return f"{word} needs a value"
            rest.pop(0)
        elif word.startswith("-") and word not in flags:
            return f"{form} has no option {word}"
        else:
            arguments += word not in flags
    return "" if least <= arguments <= most else f"{form} takes {least} to {most} arguments"


@pytest.mark.parametrize(("page", "command"), OURS, ids=[f"{name(page)}-{at}" for at, (page, _) in enumerate(OURS)])
def test_a_command_of_a_page_is_one_that_distributary_takes(page, command):
    assert fault(command) == ""


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
    _, valued, flags = FORMS[form]
    assert [each for each in (*valued, *flags) if not re.search(rf"{each}\b", text)] == []
