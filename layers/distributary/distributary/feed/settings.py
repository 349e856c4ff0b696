"""The settings of the function feed."""

from dataclasses import dataclass

from distributary.consumer.settings import STREAM_DAYS, Optional, Settings, matching, setting, whole
from distributary.errors import ConfigError
from distributary.stream.keys import table_of

_function = Optional(matching(r"arn:[^\s]+:function:[^\s]+", "a function's ARN"))
_stream = Optional(matching(r"arn:[^\s]+:table/[^\s/]+/stream/[^\s/]+", "a stream's ARN"))


@dataclass(frozen=True, slots=True)
class Target:
    """A function to feed, its stream, and how many days its tombstones or markers last."""

    function: str
    stream: str
    days: int

    @property
    def source(self) -> str:
        """The ARN of the table that it reads."""
        return self.stream.partition("/stream/")[0]

    @property
    def table(self) -> str:
        """As a scan names it: by the ARN if it is another account's."""
        same = self.function.split(":")[4] == self.stream.split(":")[4]
        return table_of(self.stream) if same else self.source


@dataclass(frozen=True, slots=True, kw_only=True)
class FeedSettings(Settings):
    """A function that is not deployed has neither ARN nor stream."""

    derive_function: str = setting("DERIVE_FUNCTION", _function)
    derive_stream: str = setting("DERIVE_STREAM", _stream)
    index_function: str = setting("INDEX_FUNCTION", _function)
    index_stream: str = setting("INDEX_STREAM", _stream)
    replicate_function: str = setting("REPLICATE_FUNCTION", _function)
    replicate_stream: str = setting("REPLICATE_STREAM", _stream)
    tombstone_days: int = setting("TOMBSTONE_DAYS", whole(STREAM_DAYS + 1, 3650))
    marker_days: int = setting("MARKER_DAYS", whole(STREAM_DAYS + 1, 3650))

    def target(self, branch: str, table: str) -> Target:
        """Of a branch that reads this table. Raises ConfigError if the stack has none."""
        targets = {
            "derive": Target(self.derive_function, self.derive_stream, self.tombstone_days),
            "index": Target(self.index_function, self.index_stream, self.marker_days),
            "replicate": Target(self.replicate_function, self.replicate_stream, self.tombstone_days),
        }
        found = targets.get(branch)
        if found is None or not found.function:
            raise ConfigError(f"this stack has no function '{branch}' that can be fed")
        if table_of(found.stream) != table:
            raise ConfigError(f"{branch} of this stack reads table '{table_of(found.stream)}', not '{table}'")
        return found
