"""What happened in a schedule, as text: virtual time, actor, call, answer."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

_LONG = 220


@dataclass(slots=True)
class Event:
    """One call. `fault` names what befell it."""

    seconds: float
    actor: str
    operation: str
    arguments: Any
    fault: str
    answer: Any = None

    def __str__(self) -> str:
        fault = f"  ! {self.fault}" if self.fault else ""
        said = f"{self.seconds:9.3f}  {self.actor:<14} {self.operation}  {_short(shown(self.arguments))}{fault}"
        return f"{said}\n{'':27}-> {_short(_answer(self.answer))}"


def text(events: Iterable[Event]) -> str:
    """One event after the other."""
    return "\n".join(map(str, events))


def shown(value: Any) -> str:
    """Typed attributes without their types, for people."""
    match value:
        case {"S": str(content)} | {"N": str(content)} if len(value) == 1:
            return content.lstrip("0") or "0" if content.isdigit() else content
        case {"M": dict(content)} if len(value) == 1:
            return shown(content)
        case dict():
            return "{" + ", ".join(f"{name}: {shown(each)}" for name, each in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(shown, value)) + "]"
        case bytes():
            return value.decode(errors="replace").replace("\n", " ")
    return str(value)


def _answer(answer: Any) -> str:
    if isinstance(answer, ClientError):
        reasons = [each["Code"] for each in answer.response.get("CancellationReasons", [])]
        return f"{answer.response['Error']['Code']} {reasons or ''}"
    if isinstance(answer, BaseException):
        return type(answer).__name__
    return "done" if answer in ({}, None) else shown(answer)


def _short(said: str) -> str:
    return said if len(said) <= _LONG else f"{said[:_LONG]}..."
