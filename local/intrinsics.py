"""CloudFormation's intrinsic functions, as far as functions, tables and buckets of a template use them.

https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/intrinsic-function-reference.html
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from local.errors import LocalError

_NOTHING = object()


@dataclass(frozen=True, slots=True)
class Scope:
    """The values of names: parameters' values, resources' types by logical id (`kinds`), conditions. `given` has the
    names that the template itself sets for resources."""

    parameters: Mapping[str, str]
    kinds: Mapping[str, str]
    conditions: Mapping[str, Any]
    region: str
    account: str
    stack: str
    given: Mapping[str, Any] = field(default_factory=dict)

    def physical(self, logical_id: str) -> str:
        """A resource's physical name: the one that the template sets, or else one made from the stack's name and the
        logical id. A bucket's name is in lower case and ends with the account."""
        given = resolve(self.given.get(logical_id, _NOTHING), self)
        if given is not _NOTHING:
            return str(given)
        if self.kinds[logical_id] == "AWS::S3::Bucket":
            return f"{self.stack}-{logical_id}-{self.account}".lower()
        return f"{self.stack}-{logical_id}"

    def pseudo(self, name: str) -> Any:
        """The value of a pseudo parameter, such as AWS::Region. Raises LocalError for one that is not known here."""
        known = {
            "AWS::Region": self.region,
            "AWS::AccountId": self.account,
            "AWS::StackName": self.stack,
            "AWS::Partition": "aws",
            "AWS::URLSuffix": "amazonaws.com",
            "AWS::NoValue": _NOTHING,
        }
        if name not in known:
            raise LocalError(f"{name} is not known here: add it to local/intrinsics.py")
        return known[name]


def resolve(tree: Any, scope: Scope) -> Any:
    """The tree with every intrinsic function in it evaluated. Raises LocalError that names what cannot be evaluated."""
    if isinstance(tree, list):
        parts = [resolve(each, scope) for each in tree]
        return [part for part in parts if part is not _NOTHING]
    if not isinstance(tree, dict):
        return tree
    if len(tree) == 1:
        (name, argument), *_ = tree.items()
        if name in _FUNCTIONS:
            return _FUNCTIONS[name](argument, scope)
        if name.startswith("Fn::"):
            raise LocalError(f"{name} is not evaluated here: use another function in template.yaml, or add it")
    values = {key: resolve(each, scope) for key, each in tree.items()}
    return {key: value for key, value in values.items() if value is not _NOTHING}


def _ref(name: Any, scope: Scope) -> Any:
    if name.startswith("AWS::"):
        return scope.pseudo(name)
    if name in scope.parameters:
        return scope.parameters[name]
    if name in scope.kinds:
        return scope.physical(name)
    raise LocalError(f"{name} has no value: give it with --parameter {name}=VALUE")


def _get_att(path: Any, scope: Scope) -> str:
    logical_id, attribute = path
    kind, name = scope.kinds.get(logical_id), scope.physical(logical_id)
    if attribute == "Arn" and kind == "AWS::DynamoDB::Table":
        return f"arn:aws:dynamodb:{scope.region}:{scope.account}:table/{name}"
    if attribute == "Arn" and kind == "AWS::S3::Bucket":
        return f"arn:aws:s3:::{name}"
    if attribute == "Arn" and kind == "AWS::Serverless::Function":
        return f"arn:aws:lambda:{scope.region}:{scope.account}:function:{scope.stack}-{function_name(logical_id)}"
    raise LocalError(f"{logical_id}.{attribute} is not evaluated here: {kind} does not run on this machine")


def function_name(logical_id: str) -> str:
    """What a function is called on this machine."""
    return logical_id.removesuffix("Function").lower()


def _sub(argument: Any, scope: Scope) -> str:
    text, local = argument if isinstance(argument, list) else (argument, {})

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name.startswith("!"):
            return "${" + name[1:] + "}"
        if name in local:
            return str(resolve(local[name], scope))
        return str(_get_att(name.split(".", 1), scope) if "." in name else _ref(name, scope))

    return re.sub(r"\$\{([^}]+)\}", value, text)


def _holds(argument: Any, scope: Scope) -> bool:
    if isinstance(argument, str):
        return bool(resolve(scope.conditions[argument], scope))
    return bool(resolve(argument, scope))


def _if(argument: Any, scope: Scope) -> Any:
    condition, then, otherwise = argument
    return resolve(then if _holds(condition, scope) else otherwise, scope)


def _equals(argument: Any, scope: Scope) -> bool:
    left, right = (str(resolve(each, scope)) for each in argument)
    return left == right


def _join(argument: Any, scope: Scope) -> str:
    separator, parts = argument
    return str(separator).join(str(each) for each in resolve(parts, scope))


def _select(argument: Any, scope: Scope) -> Any:
    place, parts = argument
    return resolve(parts, scope)[int(resolve(place, scope))]


def _split(argument: Any, scope: Scope) -> list[str]:
    separator, text = argument
    return str(resolve(text, scope)).split(separator)


_FUNCTIONS: Mapping[str, Callable[[Any, Scope], Any]] = {
    "Ref": _ref,
    "Condition": _holds,
    "Fn::GetAtt": _get_att,
    "Fn::Sub": _sub,
    "Fn::If": _if,
    "Fn::Equals": _equals,
    "Fn::Not": lambda argument, scope: not _holds(argument[0], scope),
    "Fn::And": lambda argument, scope: all(_holds(each, scope) for each in argument),
    "Fn::Or": lambda argument, scope: any(_holds(each, scope) for each in argument),
    "Fn::Join": _join,
    "Fn::Select": _select,
    "Fn::Split": _split,
}
