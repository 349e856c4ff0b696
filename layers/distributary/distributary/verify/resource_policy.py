"""What the policy of a stream or of a key lets others do, read as far as it can be told from the policy alone."""

from collections.abc import Callable, Collection, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

Policy = Mapping[str, Any]


def missing(
    policy: Policy, asked: Sequence[str], is_reader: Callable[[str], bool], context: Mapping[str, str] | None = None
) -> list[str]:
    """The actions that no statement allows to a principal which `is_reader` knows. A statement counts only if its
    conditions compare text with what `context` says of the request."""
    statements = [each for each in _statements(policy, "Allow") if _holds(each, context or {})]
    allowed = {action for each in statements if _names(each, is_reader) for action in _of(each, asked)}
    return [each for each in asked if each not in allowed]


def denied(policy: Policy, asked: Sequence[str]) -> list[str]:
    """The actions that a statement denies to anyone at all."""
    return sorted({action for each in _statements(policy, "Deny") for action in _of(each, asked)})


def _statements(policy: Policy, effect: str) -> list[Mapping[str, Any]]:
    return [each for each in _listed(policy.get("Statement", [])) if each["Effect"] == effect]


def _names(statement: Mapping[str, Any], is_reader: Callable[[str], bool]) -> bool:
    principal = statement.get("Principal", {})
    named = _listed(principal.get("AWS", []) if isinstance(principal, Mapping) else principal)
    return any(each == "*" or is_reader(each) for each in named)


def _of(statement: Mapping[str, Any], asked: Collection[str]) -> list[str]:
    patterns = [str(each).lower() for each in _listed(statement.get("Action", []))]
    return [each for each in asked if any(fnmatchcase(each.lower(), pattern) for pattern in patterns)]


def _holds(statement: Mapping[str, Any], context: Mapping[str, str]) -> bool:
    return all(
        operator in ("StringEquals", "StringLike") and key in context and _matches(context[key], values, operator)
        for operator, compared in (statement.get("Condition") or {}).items()
        for key, values in (compared or {"": ""}).items()
    )


def _matches(value: str, values: Any, operator: str) -> bool:
    wanted = _listed(values)
    return value in wanted if operator == "StringEquals" else any(fnmatchcase(value, each) for each in wanted)


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]
