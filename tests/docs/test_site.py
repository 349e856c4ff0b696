"""The site holds together: links lead somewhere, every page is in the navigation, the template's names are right."""

import re
import sys
from functools import cache

import pytest
import yaml

from tests.docs.pages import DOCS, PAGES, ROOT, commands, name

sys.path.insert(0, str(ROOT / "tools"))
docs_hooks = __import__("docs_hooks")

OTHERS = [ROOT / each for each in ("ARCHITECTURE.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]


@cache
def template(file="template.yaml"):
    return yaml.load((ROOT / file).read_text(), docs_hooks._Loader)


@cache
def settings() -> str:
    """The page that is made of the template."""
    return docs_hooks.page((ROOT / "template.yaml").read_text())


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs both make them."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE), re.M)
    plain = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", each).replace("`", "") for each in headings]
    return {re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", each).strip().lower()) for each in plain}


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=name)
def test_relative_links_lead_to_a_page_and_its_heading(page):
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if file == (DOCS / docs_hooks.PAGE):
            assert anchor in {"", *anchors(settings())}, target
            continue
        assert file.exists(), target
        assert not anchor or anchor in anchors(file.read_text()), target


def test_the_readme_has_at_most_150_lines():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150


def in_navigation(entries) -> list[str]:
    found = []
    for entry in entries:
        value = next(iter(entry.values())) if isinstance(entry, dict) else entry
        found += in_navigation(value) if isinstance(value, list) else [value]
    return found


def test_the_navigation_has_every_page_once():
    configured = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
    pages = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")]
    assert sorted(in_navigation(configured["nav"])) == sorted([*pages, docs_hooks.PAGE])


@pytest.mark.parametrize("parameter", template()["Parameters"])
def test_the_settings_page_shows_a_parameter_in_full(parameter):
    declared = template()["Parameters"][parameter]
    shown = settings().split(f"### {parameter}\n")[1].split("\n#")[0]
    assert " ".join(declared["Description"].split()) in shown
    assert f"| Type | {declared['Type']} |" in shown
    assert ("| Default | empty |" if declared["Default"] == "" else f"| Default | `{declared['Default']}` |") in shown
    assert all(f"`{value}`" in shown for value in declared.get("AllowedValues", []))
    assert "MinValue" not in declared or f"| {declared['MinValue']} to {declared['MaxValue']} |" in shown
    assert re.search(r"\| Function \| [a-z, ]+ \|", shown)


@pytest.mark.parametrize(
    ("parameter", "functions"),
    [
        ("DeriveSourceArn", "derive"),
        ("MarkerDays", "purge"),
        ("ReplicaTableName", "replicate, drift"),
        ("Generation", "all functions"),
        ("MaximumRetryAttempts", "derive, index, welcome, replicate, archive"),
    ],
)
def test_the_settings_page_says_whose_a_parameter_is(parameter, functions):
    assert f"| Function | {functions} |" in settings().split(f"### {parameter}\n")[1].split("\n#")[0]


def test_the_page_of_alarms_names_each_alarm_of_the_template():
    alarms = {name for name, each in template()["Resources"].items() if each["Type"] == "AWS::CloudWatch::Alarm"}
    assert alarms - set(re.findall(r"`?\b(\w+Alarm)\b", (DOCS / "alarms.md").read_text())) == set()


def test_commands_give_parameters_of_their_template_only():
    of_tables = {"StreamEnabled", "StreamViewType", "Enabled", "AttributeName", "StreamMode"}
    of_tables |= {"ApproximateCreationDateTimePrecision"}
    given = [command for page in PAGES for command in commands(page)]
    named = {command: set(re.findall(r"\b([A-Z][A-Za-z]+)=", command)) - of_tables for command in given}
    assert any(named.values())
    for command, parameters in named.items():
        used = re.search(r"--template (\S+)", command)
        assert parameters <= set(template(used[1] if used else "template.yaml")["Parameters"]), command
