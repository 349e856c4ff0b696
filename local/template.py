"""template.yaml as values: what its functions, tables and buckets are under given parameters."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from local.aws import ACCOUNT
from local.errors import LocalError
from local.esm.settings import MappingSettings
from local.intrinsics import Scope, function_name, resolve

Tree = Mapping[str, Any]

STACK = "distributary"
"""A stack's name, unless the user gives another."""


@dataclass(frozen=True, slots=True)
class FunctionSpec:
    """A function as the template declares it. `code` is its source folder, `arn` the ARN that it would have on AWS,
    `timeout` is in seconds, `memory` in MB. `reserved` is how many invocations may run at the same time; None is no
    limit of its own."""

    name: str
    logical_id: str
    arn: str
    handler: str
    runtime: str
    code: Path
    timeout: int
    memory: int
    environment: Mapping[str, str]
    mappings: tuple[MappingSettings, ...]
    reserved: int | None = None


@dataclass(frozen=True, slots=True)
class TableSpec:
    """A table, in the form of CreateTable's arguments. `stream`: whether it has a stream with both images."""

    name: str
    key_schema: tuple[Mapping[str, str], ...]
    attributes: tuple[Mapping[str, str], ...]
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Storage:
    """The template's tables, and the names of its buckets."""

    tables: tuple[TableSpec, ...]
    buckets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A folder that one of the project's Makefiles builds, by the target that SAM calls."""

    logical_id: str
    folder: Path


class Template:
    """A template as it is written. References are resolved when a part is asked for, so only used parameters need
    values."""

    def __init__(self, path: Path, stack: str = STACK) -> None:
        try:
            self._tree: Tree = yaml.load(path.read_text(), Loader=_Loader)
        except FileNotFoundError:
            raise LocalError(f"{path} is missing: run this from the project's folder") from None
        except yaml.YAMLError as error:
            raise LocalError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
        self._folder = path.resolve().parent
        self._stack = stack

    def functions(self) -> tuple[str, ...]:
        """The names of all functions, deployed or not."""
        return tuple(function_name(logical_id) for logical_id in self._of_type("AWS::Serverless::Function"))

    def layers(self) -> tuple[Source, ...]:
        """The layers' sources."""
        found = self._of_type("AWS::Serverless::LayerVersion")
        return tuple(Source(key, self._folder / each["Properties"]["ContentUri"]) for key, each in found.items())

    def source(self, name: str) -> Source:
        """A function's source. Raises LocalError if there is no such function."""
        logical_id, declared = self._function(name)
        return Source(logical_id, self._folder / self._merged(declared)["CodeUri"])

    def source_parameter(self, name: str) -> str:
        """The parameter that names the function's stream. Raises LocalError if there is none."""
        _, declared = self._function(name)
        for event in (declared["Properties"].get("Events") or {}).values():
            if parameter := _named(event["Properties"].get("Stream")):
                return parameter
        raise LocalError(f"{name} has no event source whose Stream is a parameter: correct template.yaml")

    def source_parameters(self, name: str) -> tuple[str, ...]:
        """The parameters that name the function's streams, its first one first. Raises LocalError if there is none."""
        alias = {"Ref": f"{self._function(name)[0]}.Alias"}
        mappings = [each["Properties"] for each in self._of_type("AWS::Lambda::EventSourceMapping").values()]
        more = [_named(each["EventSourceArn"]) for each in mappings if each["FunctionName"] == alias]
        return self.source_parameter(name), *more

    def function(self, name: str, parameters: Mapping[str, str], region: str) -> FunctionSpec:
        """The function with these parameters; the others have the template's defaults. Raises LocalError."""
        logical_id, declared = self._function(name)
        scope, properties = self._scope(parameters, region), self._merged(declared)
        variables = properties.get("Environment", {}).get("Variables", {})
        events = [event for event in (properties.get("Events") or {}).values() if event["Type"] == "DynamoDB"]
        return FunctionSpec(
            name=name,
            logical_id=logical_id,
            arn=f"arn:aws:lambda:{region}:{ACCOUNT}:function:{self._stack}-{name}",
            handler=resolve(properties["Handler"], scope),
            runtime=resolve(properties["Runtime"], scope),
            code=self._folder / properties["CodeUri"],
            timeout=int(resolve(properties.get("Timeout", 3), scope)),
            memory=int(resolve(properties.get("MemorySize", 128), scope)),
            environment={key: _text(value) for key, value in resolve(variables, scope).items()},
            mappings=tuple(MappingSettings.of(resolve(event["Properties"], scope)) for event in events),
            reserved=_reserved(properties, scope),
        )

    def storage(self, parameters: Mapping[str, str], region: str) -> Storage:
        """The tables and buckets, with the names that are in the functions' environment."""
        scope = self._scope(parameters, region)
        tables = [
            TableSpec(
                scope.physical(key),
                tuple(resolve(each["Properties"]["KeySchema"], scope)),
                tuple(resolve(each["Properties"]["AttributeDefinitions"], scope)),
                _has_stream(each["Properties"], scope),
            )
            for key, each in self._of_type("AWS::DynamoDB::Table").items()
        ]
        return Storage(tuple(tables), tuple(scope.physical(key) for key in self._of_type("AWS::S3::Bucket")))

    def _scope(self, parameters: Mapping[str, str], region: str) -> Scope:
        declared = self._tree.get("Parameters") or {}
        if unknown := sorted(parameters.keys() - declared.keys()):
            raise LocalError(f"template.yaml has no parameter {', '.join(unknown)}: {_like(unknown[0], declared)}")
        for key, value in parameters.items():
            allowed = [_text(each) for each in declared[key].get("AllowedValues", ())]
            if allowed and value not in allowed:
                raise LocalError(f"{key} is {value!r}: give one of {', '.join(map(repr, allowed))}")
        values = {key: _text(each["Default"]) for key, each in declared.items() if "Default" in each}
        kinds = {key: each["Type"] for key, each in self._tree["Resources"].items()}
        conditions, named = self._tree.get("Conditions") or {}, self._of_type("AWS::DynamoDB::Table")
        given = {
            key: each["Properties"]["TableName"] for key, each in named.items() if "TableName" in each["Properties"]
        }
        return Scope({**values, **parameters}, kinds, conditions, region, ACCOUNT, self._stack, given)

    def _of_type(self, kind: str) -> dict[str, Tree]:
        return {key: each for key, each in self._tree["Resources"].items() if each["Type"] == kind}

    def _function(self, name: str) -> tuple[str, Tree]:
        for logical_id, declared in self._of_type("AWS::Serverless::Function").items():
            if function_name(logical_id) == name:
                return logical_id, declared
        raise LocalError(f"there is no function '{name}': name one of {', '.join(self.functions())}")

    def _merged(self, declared: Tree) -> Tree:
        shared = (self._tree.get("Globals") or {}).get("Function") or {}
        return _merge(shared, declared["Properties"])


def _named(stream: Any) -> str:
    """The parameter that holds a mapping's stream, also where it may name a Kinesis data stream instead; empty for
    anything else."""
    if isinstance(stream, dict) and "Fn::If" in stream:
        stream = stream["Fn::If"][-1]
    return str(stream["Ref"]) if isinstance(stream, dict) and "Ref" in stream else ""


def samconfig_parameters(path: Path, environment: str = "local") -> dict[str, str]:
    """The parameters that samconfig.toml sets for deployments of an environment."""
    if not path.exists():
        return {}
    overrides = tomllib.loads(path.read_text()).get(environment, {}).get("deploy", {}).get("parameters", {})
    return dict(each.split("=", 1) for each in overrides.get("parameter_overrides", []))


def _merge(shared: Tree, own: Tree) -> dict[str, Any]:
    """https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/sam-specification-template-anatomy-globals.html"""
    merged = {**shared, **own}
    for key in shared.keys() & own.keys():
        if isinstance(shared[key], dict) and isinstance(own[key], dict):
            merged[key] = _merge(shared[key], own[key])
        elif isinstance(shared[key], list) and isinstance(own[key], list):
            merged[key] = [*shared[key], *own[key]]
    return merged


def _reserved(properties: Tree, scope: Scope) -> int | None:
    name = "ReservedConcurrentExecutions"
    given = resolve({key: value for key, value in properties.items() if key == name}, scope)
    return int(given[name]) if name in given else None


def _has_stream(properties: Tree, scope: Scope) -> bool:
    name = "StreamSpecification"
    return name in resolve({key: value for key, value in properties.items() if key == name}, scope)


def _like(name: str, declared: Mapping[str, Any]) -> str:
    """The names that this one may stand for, or all of them."""
    close = get_close_matches(name, declared) or [each for each in declared if name.lower() in each.lower()]
    return f"did you mean {' or '.join(close)}?" if close else f"it has {', '.join(declared)}"


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML with CloudFormation's short forms, `!Ref X` read as {"Ref": "X"}."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    key = suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}"
    if isinstance(node, yaml.SequenceNode):
        return {key: loader.construct_sequence(node, deep=True)}
    if isinstance(node, yaml.MappingNode):
        return {key: loader.construct_mapping(node, deep=True)}
    assert isinstance(node, yaml.ScalarNode)
    value = loader.construct_scalar(node)
    return {key: value.split(".", 1) if suffix == "GetAtt" else value}


_Loader.add_multi_constructor("!", _short_form)
