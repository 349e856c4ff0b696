"""The settings of the functions index and purge."""

from dataclasses import dataclass

from distributary.consumer.settings import (
    STREAM_DAYS,
    Optional,
    ReconcilingSettings,
    Settings,
    matching,
    setting,
    whole,
)
from distributary.stream.version import GENERATIONS

_endpoint = matching(
    r"(https://[A-Za-z0-9.\[\]:-]+|http://(localhost|127\.0\.0\.1|\[::1\]))(:[0-9]+)?/?",
    "an address such as https://search.example.com",
)
_service = matching(r"es|aoss|basic|none", "es, aoss, basic or none")
_secret = matching(r"none|arn:[^\s]+:(secretsmanager|ssm):[^\s]+", "a secret's or parameter's ARN, or none")


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexSettings(ReconcilingSettings):
    """`service` is what requests are signed for; basic sends name and password of `secret`, none nothing.
    `request_mib` bounds a bulk request before compression. `also_generation` is written to as well while readers move
    there."""

    also_generation: int | None = setting("ALSO_GENERATION", Optional(whole(0, GENERATIONS - 1), None))
    endpoint: str = setting("OPENSEARCH_ENDPOINT", _endpoint)
    service: str = setting("OPENSEARCH_SERVICE", _service)
    secret: str = setting("OPENSEARCH_SECRET", _secret)
    request_mib: int = setting("OPENSEARCH_REQUEST_MIB", whole(1, 90))

    @property
    def generations(self) -> tuple[int, ...]:
        """The generations that are written to."""
        also = self.also_generation
        return (self.generation,) if also in (None, self.generation) else (self.generation, int(also or 0))

    @property
    def request_bytes(self) -> int:
        """`request_mib` in bytes."""
        return self.request_mib << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PurgeSettings(Settings):
    """`marker_days`: longer than the longest redrive or backfill."""

    endpoint: str = setting("OPENSEARCH_ENDPOINT", _endpoint)
    service: str = setting("OPENSEARCH_SERVICE", _service)
    secret: str = setting("OPENSEARCH_SECRET", _secret)
    marker_days: int = setting("MARKER_DAYS", whole(STREAM_DAYS + 1, 3650))
