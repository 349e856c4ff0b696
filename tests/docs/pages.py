"""The pages that are tested: README and docs/, with their blocks of code."""

import re
import shlex
import sys
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
_BLOCK = r"^( *)```{}\n(.*?)^\1```"


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(page: Path, language: str) -> list[str]:
    """The page's blocks of code in a language, without their indentation."""
    found = re.findall(_BLOCK.format(language), page.read_text(), re.DOTALL | re.MULTILINE)
    return [dedent(code) for _, code in found]


def commands(page: Path) -> list[str]:
    """The page's console commands, each in one line."""
    text = "\n".join(blocks(page, "console")).replace("\\\n", " ")
    return [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]


def section(page: Path, heading: str) -> str:
    """What is under a heading, with the headings below it."""
    level = heading.split(" ")[0]
    pattern = rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(level)}}} |\Z)"
    found = re.search(pattern, page.read_text(), re.DOTALL | re.MULTILINE)
    assert found, f"{name(page)} has no heading '{heading}'"
    return found[1]


def argv(command: str) -> list[str]:
    """What runs a documented command in the tests' own Python."""
    return [sys.executable, "-m", "cli", *shlex.split(command)[1:]]
