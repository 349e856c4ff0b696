"""Branches over a test's clients, put together by each slice's own `build`."""

from collections.abc import Callable, Sequence
from typing import Any

from distributary.archive import ArchiveBranch, ArchiveSettings
from distributary.archive import build as build_archive
from distributary.derive.branch import DeriveBranch
from distributary.derive.declarations import Declaration
from distributary.derive.factory import build as build_derive
from distributary.derive.settings import DeriveSettings
from distributary.replicate import Mirror
from distributary.replicate.factory import build as build_replica
from distributary.replicate.mirror import MirrorBranch
from distributary.replicate.settings import ReplicateSettings
from distributary.stream.change import REPLICA_VERSION
from tests.fakes.serial import Serial
from tests.replaced import replace

FAR = "us-east-1"
"""The region of a mirror's replica."""


DERIVED = {"derived": {"pk": "S", "sk": "S"}, "ledger": {"id": "S"}, "tombstones": {"id": "S"}}
"""The keys of the tables that a derive branch writes."""


def plain(table: str) -> str:
    """A table's name as it is."""
    return table


def epoch() -> float:
    """A clock that does not move."""
    return 1000.0


def archive(client: Any) -> ArchiveBranch:
    """An archive branch that writes into the bucket `archive`."""
    settings = ArchiveSettings(parking_bucket="parking", generation=0, archive_bucket="archive")
    return build_archive(settings, lambda *_, **__: client)


def derive_settings(name: Callable[[str], str] = plain) -> DeriveSettings:
    """Tables `derived`, `ledger` and `tombstones`, by the names that the test gives them."""
    return DeriveSettings(
        parking_bucket=name("parking"),
        generation=0,
        derived_table=name("derived"),
        ledger_table=name("ledger"),
        tombstone_table=name("tombstones"),
        tombstone_days=7,
    )


def derive(
    views: Sequence[Declaration],
    client: Any,
    name: Callable[[str], str] = plain,
    parallel: Any = None,
    now: Callable[[], float] = epoch,
    **tables: Any,
) -> DeriveBranch:
    """A derive branch that never sleeps between two attempts; `tables` are fields of its `LedgerTables` to replace."""
    built = build_derive(views, derive_settings(name), lambda _: client, parallel or Serial(), now, lambda _: None)
    replaced = replace(built.ledger.tables, **tables)
    joins = replace(built.joins, tables=replaced) if built.joins is not None else None
    return replace(built, ledger=replace(built.ledger, tables=replaced), joins=joins)


def replicate_settings(name: Callable[[str], str] = plain, **other: Any) -> ReplicateSettings:
    """Tables `replica` and `tombstones`, by the names that the test gives them; `other` settings as named."""
    given: dict[str, Any] = {
        "parking_bucket": name("parking"),
        "generation": 0,
        "replica_table": name("replica"),
        "replica_regions": (FAR,),
        "source_region": "eu-west-1",
        "target_role": "none",
        "version_attribute": REPLICA_VERSION,
        "tombstone_table": name("tombstones"),
        "tombstone_days": 7,
    }
    return ReplicateSettings(**given | other)


def mirror(
    client: Any,
    declared: Mirror | None = None,
    name: Callable[[str], str] = plain,
    parallel: Any = None,
    now: Callable[[], float] = epoch,
    **other: Any,
) -> MirrorBranch:
    """A mirror whose two regions are served by one client."""
    settings = replicate_settings(name, **other)
    built = build_replica(
        declared or Mirror(), settings, lambda *_, **__: client, parallel or Serial(), lambda: None, now
    )
    assert isinstance(built, MirrorBranch)
    return built
