"""template.yaml as data: intrinsic functions as mappings, parameters replaced by their values."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samtranslator.yaml_helper import yaml_parse

BRANCHES = {"Derive": "derive", "Index": "index", "Welcome": "welcome", "Replicate": "replicate", "Archive": "archive"}
"""Each function's part in logical ids, and its branch."""

ALIAS = "live"
"""The version of a function that events go to."""

MORE = ("Second", "Third", "Fourth")
"""What the parts of derive's further tables are called by, in parameters, conditions, mappings and alarms."""

METRIC_MATH = "Metrics"
"""The property of alarms on several metrics, which the emulator refuses."""

REFUSED = ("AWS::Glue::", "AWS::Logs::QueryDefinition")
"""How the types begin that the emulator refuses as well: what only Athena reads, and saved queries."""


@dataclass(frozen=True, slots=True)
class Template:
    """`document` as SAM reads it."""

    document: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> "Template":
        """Raises OSError; yaml.YAMLError for what is no YAML."""
        return cls(yaml_parse(path.read_text()))

    def defaults(self) -> dict[str, Any]:
        """Every parameter's default."""
        return {name: parameter["Default"] for name, parameter in self.document["Parameters"].items()}

    def properties(self, logical_id: str) -> dict[str, Any]:
        """A resource's own properties, without the globals."""
        return dict(self.document["Resources"][logical_id]["Properties"])

    def of_type(self, kind: str) -> dict[str, dict[str, Any]]:
        """The resources of a type by logical id, such as AWS::DynamoDB::Table."""
        return {name: each for name, each in self.document["Resources"].items() if each["Type"] == kind}

    def function(self, name: str) -> dict[str, Any]:
        """A function's properties over the globals, as SAM merges them."""
        shared, own = self.document["Globals"]["Function"], self.properties(f"{name}Function")
        variables = {**shared["Environment"]["Variables"], **own["Environment"]["Variables"]}
        return {**shared, **own, "Environment": {"Variables": variables}}

    def mapping(self, name: str) -> dict[str, Any]:
        """The settings of a function's event source mapping."""
        return dict(self.properties(f"{name}Function")["Events"]["Stream"]["Properties"])

    def statements(self, name: str) -> Iterator[dict[str, Any]]:
        """What a function's role allows, with what every function's role does."""
        yield from self.properties("FunctionPolicy")["PolicyDocument"]["Statement"]
        yield from self.own_statements(name)

    def own_statements(self, name: str) -> Iterator[dict[str, Any]]:
        """What a function's role allows by itself, and what its branch is allowed in the trunk as well."""
        shared = [self.properties(f"{name}Policy")] if f"{name}Policy" in self.document["Resources"] else []
        for policy in (*self.properties(f"{name}Role")["Policies"], *shared):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield from _alternatives(statement)


def _alternatives(statement: Mapping[str, Any]) -> list[Any]:
    """The statement, or those of which a condition chooses one."""
    return [each for each in statement["Fn::If"][1:] if "Ref" not in each] if "Fn::If" in statement else [statement]


def resolved(value: Any, parameters: Mapping[str, Any]) -> Any:
    """`value` with every reference to a parameter replaced, split and selected from; other intrinsic functions stay."""
    match value:
        case {"Ref": str(name)} if name in parameters:
            return parameters[name]
        case {"Fn::Sub": str(text)} if set(re.findall(r"\$\{([^}]+)\}", text)) <= parameters.keys():
            return re.sub(r"\$\{([^}]+)\}", lambda found: str(parameters[found[1]]), text)
        case {"Fn::Select": [int(place), {"Fn::Split": [separator, {"Ref": str(name)}]}]} if name in parameters:
            return str(parameters[name]).split(separator)[place]
        case dict():
            return {key: resolved(member, parameters) for key, member in value.items()}
        case list():
            return [resolved(member, parameters) for member in value]
    return value


def listed(value: Any) -> list[Any]:
    """IAM takes one or many; this gives many."""
    return value if isinstance(value, list) else [value]
