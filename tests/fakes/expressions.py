"""DynamoDB's condition and update expressions, evaluated: as much of the grammar as the project writes.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html
"""

import operator
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any

_TOKEN = re.compile(r"\s*(<>|<=|>=|[=<>(),]|[#:]?[A-Za-z0-9_]+)")
_COMPARE = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


class Malformed(ValueError):
    """DynamoDB answers ValidationException."""


@cache
def reserved() -> frozenset[str]:
    """Names that an expression may not hold as they stand; the list is moto's, out of AWS's documentation."""
    words = resources.files("moto.dynamodb.parsing").joinpath("reserved_keywords.txt").read_text()
    return frozenset(words.split())


class Expressions:
    """The expressions of one request, over its names and values; `finish` demands that all of these are used."""

    def __init__(self, names: Mapping[str, str], values: Mapping[str, Any]) -> None:
        self._names, self._values = names, values
        self._used: set[str] = set()

    @classmethod
    def of(cls, request: Mapping[str, Any]) -> "Expressions":
        """Those of a request. Raises Malformed for names or values that are there and empty."""
        for maps in ("ExpressionAttributeNames", "ExpressionAttributeValues"):
            if request.get(maps) == {}:
                raise Malformed(f"{maps} must not be empty")
        return cls(request.get("ExpressionAttributeNames", {}), request.get("ExpressionAttributeValues", {}))

    def holds(self, condition: str, item: Mapping[str, Any]) -> bool:
        """Whether the item, empty if there is none, meets the condition."""
        parser = _Condition(_tokens(condition), self, item)
        result = parser.either()
        if parser.tokens:
            raise Malformed(f"Invalid ConditionExpression: Syntax error; token: {parser.tokens[0]}")
        return result

    def set(self, update: str, item: Mapping[str, Any]) -> dict[str, Any]:
        """The item after `SET a = :a, #b = :b REMOVE c, #d`; either clause may be missing."""
        tokens = _tokens(update)
        at = next((at for at, token in enumerate(tokens) if token.upper() == "REMOVE"), len(tokens))
        sets, removes = tokens[:at], tokens[at + 1 :]
        if not tokens or (sets and sets[0].upper() != "SET"):
            raise Malformed(f"Invalid UpdateExpression: {update}")
        parts = [sets[at : at + 4] for at in range(1, len(sets), 4)]
        wrong = any(part[1:2] != ["="] or part[3:] not in ([","], []) for part in parts) or len(sets) % 4 != 0
        if (sets and wrong) or any(token == "," for token in removes[::2]) or (tokens[at:] and not removes):
            raise Malformed(f"Invalid UpdateExpression: {update}")
        gone = {self.name(token) for token in removes[::2]}
        new = {self.name(part[0]): self.value(part[2]) for part in parts}
        if gone & new.keys():
            raise Malformed("Invalid UpdateExpression: Two document paths overlap with each other")
        return {**{name: value for name, value in item.items() if name not in gone}, **new}

    def projected(self, projection: str, item: Mapping[str, Any]) -> dict[str, Any]:
        """The item's attributes that `a, #b` names."""
        names = [self.name(token) for token in _tokens(projection) if token != ","]
        return {name: item[name] for name in names if name in item}

    def name(self, token: str) -> str:
        """The attribute that a token names."""
        if token.startswith("#"):
            self._used.add(token)
            if token not in self._names:
                raise Malformed(f"An expression attribute name used in the document path is not defined: {token}")
            return self._names[token]
        if token.upper() in reserved():
            raise Malformed(f"Attribute name is a reserved keyword; reserved keyword: {token}")
        return token

    def value(self, token: str) -> Any:
        """The value that a token stands for."""
        self._used.add(token)
        if token not in self._values:
            raise Malformed(f"An expression attribute value used in expression is not defined: {token}")
        return self._values[token]

    def finish(self) -> None:
        """Raises Malformed for a name or value that no expression used."""
        unused = {*self._names, *self._values} - self._used
        if unused:
            raise Malformed(f"Value provided unused in expressions: keys: {sorted(unused)}")


class _Condition:
    """Recursive descent; every operand is evaluated, so that every fault is found, as DynamoDB does."""

    def __init__(self, tokens: list[str], expressions: Expressions, item: Mapping[str, Any]) -> None:
        self.tokens, self._expressions, self._item = tokens, expressions, item

    def either(self) -> bool:
        result = self._both()
        while self._accept("OR"):
            result = self._both() or result
        return result

    def _both(self) -> bool:
        result = self._one()
        while self._accept("AND"):
            result = self._one() and result
        return result

    def _one(self) -> bool:
        if self._accept("NOT"):
            return not self._one()
        if self._accept("("):
            result = self.either()
            self._expect(")")
            return result
        if self.tokens and self.tokens[0] in ("attribute_exists", "attribute_not_exists"):
            return self._exists(self._take())
        left, sign, right = self._operand(), self._take(), self._operand()
        if sign not in _COMPARE:
            raise Malformed(f"Invalid ConditionExpression: Syntax error; token: {sign}")
        return _compared(sign, left, right)

    def _exists(self, function: str) -> bool:
        self._expect("(")
        present = self._expressions.name(self._take()) in self._item
        self._expect(")")
        return present is (function == "attribute_exists")

    def _operand(self) -> Any:
        token = self._take()
        return self._expressions.value(token) if token[0] == ":" else self._item.get(self._expressions.name(token))

    def _accept(self, word: str) -> bool:
        if self.tokens and self.tokens[0].upper() == word:
            self.tokens.pop(0)
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            raise Malformed(f"Invalid ConditionExpression: expected {word}")

    def _take(self) -> str:
        if not self.tokens:
            raise Malformed("Invalid ConditionExpression: it ends too early")
        return self.tokens.pop(0)


def _compared(sign: str, left: Any, right: Any) -> bool:
    """An attribute that is not there compares with nothing; neither do two types, but for `<>`."""
    if left is None or right is None:
        return False
    ((left_tag, a),), ((right_tag, b),) = left.items(), right.items()
    if left_tag != right_tag:
        return sign == "<>"
    if left_tag == "N":
        a, b = Decimal(a), Decimal(b)
    elif left_tag == "S":
        a, b = a.encode(), b.encode()
    elif left_tag != "B" and sign not in ("=", "<>"):
        raise Malformed(f"Invalid ConditionExpression: operator {sign} on type {left_tag}")
    return bool(_COMPARE[sign](a, b))


def _tokens(text: str) -> list[str]:
    tokens, at = [], 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise Malformed(f"Invalid expression: Syntax error near {text[at:]}")
        tokens.append(match[1])
        at = match.end()
    return tokens
