"""The index function's settings, as tests build its branch with."""

from typing import Any

from distributary.index.settings import IndexSettings


def settings(generation: int = 0, also: int | None = None) -> IndexSettings:
    """Of one generation, or of two that are both written to."""
    return IndexSettings(
        parking_bucket="parking",
        generation=generation,
        also_generation=also,
        endpoint="https://search.example.com",
        service="es",
        secret="none",
        request_mib=5,
    )


def clients(search: Any) -> Any:
    """Where `build` gets this OpenSearch client from."""

    def client(service: str, **_: Any) -> Any:
        assert service == "opensearch"
        return search

    return client
