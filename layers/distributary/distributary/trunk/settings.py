"""The settings of the functions trunk and deferred."""

from collections.abc import Mapping
from dataclasses import dataclass

from distributary.consumer import streams
from distributary.consumer.settings import (
    Optional,
    Settings,
    StreamSettings,
    bucket_name,
    matching,
    setting,
    table_name,
    whole,
)
from distributary.feed.settings import Function
from distributary.readers.parked import BRANCHES
from distributary.stream.change import Kind

_function = Optional(matching(r"arn:[^\s]+:function:[^\s]+", "a function's ARN"))
_streams = Optional(streams.parse, {})
_sources = Optional(streams.parse_sources, ())


def _branches(text: str) -> tuple[str, ...]:
    found = tuple(filter(None, text.split(",")))
    if not found or not set(found) <= set(BRANCHES) or len(set(found)) < len(found):
        raise ValueError(f"give some of {', '.join(BRANCHES)}, each once, separated by commas")
    return found


def _kinds(text: str) -> frozenset[Kind]:
    return frozenset(map(Kind, text.split(",")))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrunkSettings(StreamSettings):
    """`event_names` of welcome's records; the others are none of its changes. `defer_after_seconds`: see
    `breaker.following`."""

    branches: tuple[str, ...] = setting("TRUNK_BRANCHES", _branches)
    defer_after_seconds: int = setting("DEFER_AFTER_SECONDS", whole(1, 86_400))
    deferred_bucket: str = setting("DEFERRED_BUCKET", bucket_name)
    breaker_table: str = setting("BREAKER_TABLE", table_name)
    event_names: frozenset[Kind] = setting("EVENT_NAMES", _kinds)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeferredSettings(Settings):
    """A function that is not deployed has neither ARN nor streams."""

    deferred_bucket: str = setting("DEFERRED_BUCKET", bucket_name)
    breaker_table: str = setting("BREAKER_TABLE", table_name)
    derive_function: str = setting("DERIVE_FUNCTION", _function)
    derive_streams: Mapping[str, int] = setting("DERIVE_STREAMS", _streams)
    derive_sources: tuple[str, ...] = setting("DERIVE_SOURCES", _sources)
    index_function: str = setting("INDEX_FUNCTION", _function)
    index_streams: Mapping[str, int] = setting("INDEX_STREAMS", _streams)
    welcome_function: str = setting("WELCOME_FUNCTION", _function)
    welcome_streams: Mapping[str, int] = setting("WELCOME_STREAMS", _streams)
    replicate_function: str = setting("REPLICATE_FUNCTION", _function)
    replicate_streams: Mapping[str, int] = setting("REPLICATE_STREAMS", _streams)
    archive_function: str = setting("ARCHIVE_FUNCTION", _function)
    archive_streams: Mapping[str, int] = setting("ARCHIVE_STREAMS", _streams)

    @property
    def functions(self) -> Mapping[str, Function]:
        """Those that are deployed, by branch, in the trunk or not: what was deferred before is fed as well."""
        found = {
            branch: Function.of(
                getattr(self, f"{branch}_function"),
                getattr(self, f"{branch}_streams"),
                self.derive_sources if branch == "derive" else (),
                0,
            )
            for branch in BRANCHES
        }
        return {branch: each for branch, each in found.items() if each.arn}
