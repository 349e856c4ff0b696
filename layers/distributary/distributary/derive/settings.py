"""The derive function's settings."""

from dataclasses import dataclass

from distributary.consumer.settings import STREAM_DAYS, Optional, ReconcilingSettings, setting, table_name, whole
from distributary.consumer.streams import parse_sources


@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveSettings(ReconcilingSettings):
    """`tombstone_days`: longer than the stream keeps a change. `sources`: the ARNs of the streams that it reads now, if
    they are several; the others of `streams` are earlier ones."""

    sources: tuple[str, ...] = setting("SOURCES", Optional(parse_sources, ()))
    derived_table: str = setting("DERIVED_TABLE", table_name)
    ledger_table: str = setting("LEDGER_TABLE", table_name)
    tombstone_table: str = setting("TOMBSTONE_TABLE", table_name)
    tombstone_days: int = setting("TOMBSTONE_DAYS", whole(STREAM_DAYS + 1, 3650))

    @property
    def own_streams(self) -> tuple[str, ...]:
        """See `StreamSettings`."""
        return self.sources or tuple(self.streams)[:1]
