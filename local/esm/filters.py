"""Lambda's event filtering (https://docs.aws.amazon.com/lambda/latest/dg/invocation-eventfiltering.html)."""

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from local.errors import LocalError

_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_OPERATORS = {"exists", "prefix", "suffix", "anything-but", "numeric", "equals-ignore-case"}
_ABSENT = object()


def passes(record: Mapping[str, Any], patterns: Sequence[Mapping[str, Any]]) -> bool:
    """Whether any pattern matches; without patterns everything passes."""
    return not patterns or any(_matches(record, pattern) for pattern in patterns)


def check(pattern: Any) -> None:
    """LocalError for a pattern that Lambda would refuse, or that is not evaluated here."""
    if not isinstance(pattern, dict) or not pattern:
        raise LocalError(f"a filter's pattern is an object with at least one key, not {pattern!r}")
    for key, part in pattern.items():
        if key == "$or":
            for each in part:
                check(each)
        elif isinstance(part, list):
            for alternative in part:
                _check_alternative(key, alternative)
        else:
            check(part)


def _check_alternative(key: str, alternative: Any) -> None:
    if isinstance(alternative, list) or (
        isinstance(alternative, dict) and (len(alternative) != 1 or not alternative.keys() <= _OPERATORS)
    ):
        raise LocalError(
            f"the filter on '{key}' has {alternative!r}: give values, or one of {', '.join(sorted(_OPERATORS))}"
        )


def _matches(value: Any, pattern: Mapping[str, Any]) -> bool:
    return all(_part_matches(value, key, part) for key, part in pattern.items())


def _part_matches(value: Any, key: str, part: Any) -> bool:
    if key == "$or":
        return any(_matches(value, each) for each in part)
    inner = value.get(key, _ABSENT) if isinstance(value, dict) else _ABSENT
    if isinstance(part, dict):
        return _matches(inner, part)
    leaves = inner if isinstance(inner, list) and inner else [inner]
    return any(_alternative_matches(leaf, alternative) for leaf in leaves for alternative in part)


def _alternative_matches(leaf: Any, alternative: Any) -> bool:
    """Only leaves exist: an object is no value."""
    present = leaf is not _ABSENT and not isinstance(leaf, dict | list)
    if not isinstance(alternative, dict):
        return present and _equal(leaf, alternative)
    ((name, operand),) = alternative.items()
    if name == "exists":
        return present is operand
    return present and _operator_matches(name, leaf, operand)


def _operator_matches(name: str, leaf: Any, operand: Any) -> bool:
    if name == "anything-but":
        return not _any_of(leaf, operand)
    if name == "numeric":
        return _in_range(leaf, operand)
    if not isinstance(leaf, str):
        return False
    if name == "prefix":
        return leaf.startswith(operand)
    if name == "suffix":
        return leaf.endswith(operand)
    return leaf.lower() == operand.lower()


def _any_of(leaf: Any, operand: Any) -> bool:
    alternatives = operand if isinstance(operand, list) else [operand]
    return any(_alternative_matches(leaf, each) for each in alternatives)


def _in_range(leaf: Any, operand: Sequence[Any]) -> bool:
    """A DynamoDB number is a string to Lambda, so no numeric filter ever matches it."""
    if isinstance(leaf, bool) or not isinstance(leaf, int | float):
        return False
    pairs = zip(operand[::2], operand[1::2], strict=True)
    return all(_COMPARISONS[sign](leaf, bound) for sign, bound in pairs)


def _equal(leaf: Any, wanted: Any) -> bool:
    return leaf == wanted and isinstance(leaf, bool) is isinstance(wanted, bool)
