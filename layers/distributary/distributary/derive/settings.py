"""The derive function's settings."""

from dataclasses import dataclass

from distributary.consumer.settings import STREAM_DAYS, ReconcilingSettings, setting, table_name, whole


@dataclass(frozen=True, slots=True, kw_only=True)
class DeriveSettings(ReconcilingSettings):
    """`tombstone_days`: longer than the stream keeps a change."""

    derived_table: str = setting("DERIVED_TABLE", table_name)
    ledger_table: str = setting("LEDGER_TABLE", table_name)
    tombstone_table: str = setting("TOMBSTONE_TABLE", table_name)
    tombstone_days: int = setting("TOMBSTONE_DAYS", whole(STREAM_DAYS + 1, 3650))
