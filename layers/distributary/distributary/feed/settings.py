"""The settings of the function feed."""

from collections.abc import Mapping
from dataclasses import dataclass

from distributary.consumer import streams
from distributary.consumer.settings import STREAM_DAYS, Optional, Settings, matching, setting, whole
from distributary.errors import ConfigError
from distributary.stream.keys import table_of

_function = Optional(matching(r"arn:[^\s]+:function:[^\s]+", "a function's ARN"))
_streams = Optional(streams.parse, {})
_sources = Optional(streams.parse_sources, ())


@dataclass(frozen=True, slots=True)
class Function:
    """A function that can be fed: the generation of each stream that it reads or has read, the stream of each table
    that it reads now, and how many days its tombstones or markers last."""

    arn: str
    streams: Mapping[str, int]
    sources: Mapping[str, str]
    days: int

    @classmethod
    def of(cls, arn: str, listed: Mapping[str, int], sources: tuple[str, ...], days: int) -> "Function":
        """It reads the first stream that is listed, if none are named."""
        return cls(arn, listed, {table_of(each): each for each in sources or tuple(listed)[:1]}, days)

    def named(self, table: str) -> str:
        """The table as a command names it: not at all, if the function reads one."""
        return table if len(self.sources) > 1 else ""


@dataclass(frozen=True, slots=True)
class Target:
    """A function to feed with what one of its tables holds."""

    function: Function
    stream: str

    @property
    def source(self) -> str:
        """The ARN of the table."""
        return self.stream.partition("/stream/")[0]

    @property
    def table(self) -> str:
        """As a scan names it: by the ARN if it is another account's."""
        same = self.function.arn.split(":")[4] == self.stream.split(":")[4]
        return table_of(self.stream) if same else self.source

    @property
    def named(self) -> str:
        """See `Function.named`."""
        return self.function.named(table_of(self.stream))


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSettings(Settings):
    """A function that is not deployed has neither ARN nor streams."""

    derive_function: str = setting("DERIVE_FUNCTION", _function)
    derive_streams: Mapping[str, int] = setting("DERIVE_STREAMS", _streams)
    derive_sources: tuple[str, ...] = setting("DERIVE_SOURCES", _sources)
    index_function: str = setting("INDEX_FUNCTION", _function)
    index_streams: Mapping[str, int] = setting("INDEX_STREAMS", _streams)
    replicate_function: str = setting("REPLICATE_FUNCTION", _function)
    replicate_streams: Mapping[str, int] = setting("REPLICATE_STREAMS", _streams)
    tombstone_days: int = setting("TOMBSTONE_DAYS", whole(STREAM_DAYS + 1, 3650))
    marker_days: int = setting("MARKER_DAYS", whole(STREAM_DAYS + 1, 3650))

    @property
    def functions(self) -> Mapping[str, Function]:
        """Those that are deployed, by branch."""
        all_of_them = {
            "derive": Function.of(self.derive_function, self.derive_streams, self.derive_sources, self.tombstone_days),
            "index": Function.of(self.index_function, self.index_streams, (), self.marker_days),
            "replicate": Function.of(self.replicate_function, self.replicate_streams, (), self.tombstone_days),
        }
        return {branch: each for branch, each in all_of_them.items() if each.arn}

    def function(self, branch: str) -> Function:
        """Raises ConfigError if the stack has none that can be fed."""
        if branch not in self.functions:
            raise ConfigError(f"this stack has no function '{branch}' that can be fed")
        return self.functions[branch]

    def target(self, branch: str, table: str) -> Target:
        """Of a branch that reads this table. Raises ConfigError if the stack has none."""
        found = self.function(branch)
        if table not in found.sources:
            raise ConfigError(f"{branch} of this stack reads table '{', '.join(found.sources)}', not '{table}'")
        return Target(found, found.sources[table])
