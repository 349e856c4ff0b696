"""How a function reads its settings from environment variables, and the settings that every function needs."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Self

from distributary.consumer.streams import parse
from distributary.errors import ConfigError
from distributary.stream.keys import table_of
from distributary.stream.version import GENERATIONS

STREAM_DAYS = 1
"""For how long a stream of DynamoDB keeps a record: what remembers deletes and sends has to outlast it.
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html"""


class Optional:
    """A parser that accepts a missing or empty variable, and returns `missing` for it."""

    def __init__(self, parse: Callable[[str], Any], missing: Any = "") -> None:
        self._parse, self.missing = parse, missing

    def __call__(self, text: str) -> Any:
        """The parsed text, or `missing` for the empty text."""
        return self._parse(text) if text else self.missing


def setting(variable: str, parse: Callable[[str], Any]) -> Any:
    """A settings field that is read from an environment variable; `parse` raises ValueError with what to give."""
    metadata = {"variable": variable, "parse": parse}
    if isinstance(parse, Optional):
        return field(default_factory=lambda: parse.missing, metadata=metadata)
    return field(metadata=metadata)


def whole(least: int, most: int) -> Callable[[str], int]:
    """A parser of whole numbers from `least` to `most`."""

    def parse(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,9}", text) or not least <= int(text) <= most:
            raise ValueError(f"give a whole number from {least} to {most}")
        return int(text)

    return parse


def matching(pattern: str, what: str) -> Callable[[str], str]:
    """A parser of texts that match the pattern; `what` says in its error what to give."""

    def parse(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f"give {what}")
        return text

    return parse


bucket_name = matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "an S3 bucket's name")
table_name = matching(r"[A-Za-z0-9_.-]{3,255}|arn:[^\s]+:table/[A-Za-z0-9_.-]{3,255}", "a DynamoDB table's name or ARN")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What every function needs. `generation` is raised for a change of source, and requires a repair."""

    parking_bucket: str = setting("PARKING_BUCKET", bucket_name)
    generation: int = setting("GENERATION", whole(0, GENERATIONS - 1))

    @classmethod
    def load(cls, environment: Mapping[str, str]) -> Self:
        """Raises ConfigError that names every missing or malformed variable at once."""
        values, faults = {}, []
        for each in fields(cls):
            variable, parse = each.metadata["variable"], each.metadata["parse"]
            if not environment.get(variable) and not isinstance(parse, Optional):
                faults.append(f"{variable} is missing: set it on the function (template.yaml does)")
                continue
            try:
                values[each.name] = parse(environment.get(variable, ""))
            except ValueError as error:
                faults.append(f"{variable}: {error}")
        if faults:
            raise ConfigError(faults)
        return cls(**values)

    @classmethod
    def variables(cls) -> set[str]:
        """The environment variables that `load` reads."""
        return {each.metadata["variable"] for each in fields(cls)}


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings(Settings):
    """What every function that reads a stream needs: the generations of all streams that it may read, by ARN, its own
    first. See `streams.parse`."""

    streams: Mapping[str, int] = setting("STREAMS", Optional(parse, {}))

    @property
    def own_streams(self) -> tuple[str, ...]:
        """The ARNs of the streams that it reads now; none if no stream is listed."""
        return tuple(self.streams)[:1]

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the tables whose streams it reads now."""
        return tuple(map(table_of, self.own_streams))

    def source(self, table: str = "") -> str:
        """The ARN of the source table of this name, to read items from; without a name, of the only one. Raises
        ConfigError if no stream is listed, if the table is none of its sources, and for no name of several."""
        if not self.own_streams:
            raise ConfigError("STREAMS is missing: list the function's stream as ARN=generation, to read its table")
        found = [stream for stream in self.own_streams if table in ("", table_of(stream))]
        if not found:
            raise ConfigError(f"the function reads {', '.join(self.tables)}, not '{table}'")
        if len(found) > 1:
            raise ConfigError(
                f"the function reads several tables, and the command names none of {', '.join(self.tables)}"
            )
        return found[0].partition("/stream/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconcilingSettings(StreamSettings):
    """What every function that reconciles items needs: `reconcile_read_units` of the source table a second, by one
    execution environment, since they compete with the application."""

    reconcile_read_units: int = setting("RECONCILE_READ_UNITS", Optional(whole(1, 1_000_000), 250))
