"""Hooks of MkDocs: the page of settings, made from template.yaml, and a site that needs no internet."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

PAGE = "reference/settings.md"
TEMPLATE = Path(__file__).resolve().parents[1] / "template.yaml"
FUNCTIONS = {
    "Derive": "derive",
    "Index": "index",
    "Purge": "purge",
    "Welcome": "welcome",
    "Suppress": "suppress",
    "Replicate": "replicate",
    "Drift": "drift",
    "Archive": "archive",
}
"""How the logical ids of a function's resources begin. `IndexPurge...` belongs to `purge`."""

_REMOTE_SCRIPT, _OWN_SCRIPT = "https://unpkg.com/iframe-worker/shim", "javascripts/iframe-worker.js"
INTRODUCTION = """# Settings

These are all parameters of `template.yaml`. Set them with `sam deploy --parameter-overrides NAME=VALUE`, or in
`samconfig.toml`. On your machine, `distributary attach` and `distributary invoke` take `--parameter NAME=VALUE`.

This page is generated from the template.
"""


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """Reads CloudFormation's short forms: `!Ref Name` as `${Name}`, and every other one as its arguments."""


def _arguments(loader: _Loader, form: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    value = loader.construct_scalar(node)
    return f"${{{value}}}" if form == "Ref" else value


_Loader.add_multi_constructor("!", _arguments)


def page(text: str) -> str:
    """The page in Markdown: a section for each group of parameters, and in it each parameter in full."""
    template = yaml.load(text, _Loader)
    users = _users(template)
    parts = [INTRODUCTION]
    for heading, names in _groups(template):
        parts.append(f"## {heading}\n")
        parts += [_parameter(name, template["Parameters"][name], users[name]) for name in names]
    return "\n".join(parts)


def _groups(template: Mapping[str, Any]) -> Iterator[tuple[str, list[str]]]:
    """Each group of the template's interface, then what no group names."""
    rest = dict.fromkeys(template["Parameters"])
    for group in template["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]:
        for name in group["Parameters"]:
            rest.pop(name)
        yield group["Label"]["default"], group["Parameters"]
    if rest:
        yield "Others", list(rest)


def _users(template: Mapping[str, Any]) -> dict[str, list[str]]:
    """The functions whose resources name each parameter, by itself or through a condition."""
    conditions = {name: str(condition) for name, condition in template["Conditions"].items()}
    resources = {name: str(resource) for name, resource in template["Resources"].items()}
    found: dict[str, list[str]] = {}
    for parameter in template["Parameters"]:
        reference = f"${{{parameter}}}"
        naming = [reference, *(f"'{name}'" for name, condition in conditions.items() if reference in condition)]
        owners = {_owner(name) for name, text in resources.items() if any(each in text for each in naming)}
        named = [each for each in FUNCTIONS.values() if each in owners]
        everywhere = reference in str(template["Globals"])
        found[parameter] = ["all functions"] if everywhere or not named else named
    return found


def _owner(resource: str) -> str:
    name = resource.removeprefix("Index") if resource.startswith("IndexPurge") else resource
    return next((function for start, function in FUNCTIONS.items() if name.startswith(start)), "")


def _parameter(name: str, parameter: Mapping[str, Any], users: list[str]) -> str:
    rows = [
        ("Function", ", ".join(users)),
        ("Type", parameter["Type"]),
        ("Default", _default(parameter["Default"]) if "Default" in parameter else "none: you must give it"),
        ("Allowed values", _allowed(parameter)),
    ]
    table = "\n".join(f"| {label} | {value} |" for label, value in rows)
    description = " ".join(parameter["Description"].split())
    return f"### {name}\n\n{description}\n\n| | |\n| --- | --- |\n{table}\n"


def _default(value: Any) -> str:
    return "empty" if value == "" else f"`{value}`"


def _allowed(parameter: Mapping[str, Any]) -> str:
    if "AllowedValues" in parameter:
        return ", ".join(f"`{value}`" for value in parameter["AllowedValues"])
    if "MinValue" in parameter:
        return f"{parameter['MinValue']} to {parameter['MaxValue']}"
    return str(parameter.get("ConstraintDescription", "any")).replace("|", "\\|").replace("*", "\\*")


def on_files(files: Any, config: Any) -> Any:
    """MkDocs calls this hook when it has collected the pages. https://www.mkdocs.org/user-guide/plugins/#on_files"""
    from mkdocs.structure.files import File

    files.append(File.generated(config, PAGE, content=page(TEMPLATE.read_text())))
    return files


def on_post_page(output: str, page: Any, **_: Any) -> str:
    """MkDocs calls this hook with each page's HTML. The theme loads the script that lets the search run from file://
    from the internet; the site has its own copy."""
    from mkdocs.utils import get_relative_url

    return output.replace(_REMOTE_SCRIPT, get_relative_url(_OWN_SCRIPT, page.url))


def on_post_template(output_content: str, **_: Any) -> str:
    """The same for pages of the theme's own, which are at the site's root."""
    return output_content.replace(_REMOTE_SCRIPT, _OWN_SCRIPT)
