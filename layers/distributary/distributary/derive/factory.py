"""The derive branch, put together: by the function, the tests, the verifier, and the benchmarks."""

import time
from collections.abc import Callable, Sequence

from distributary.consumer.aws import Clients
from distributary.consumer.parallel import Parallel
from distributary.derive.branch import DeriveBranch
from distributary.derive.declarations import Declaration
from distributary.derive.ledger import Ledger
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.settings import DeriveSettings
from distributary.derive.table_format import TableFormat
from distributary.derive.validation import check
from distributary.dynamodb.tombstones import Tombstones
from distributary.dynamodb.versioned_table import Register


def build(
    declared: Sequence[Declaration],
    settings: DeriveSettings,
    clients: Clients,
    parallel: Parallel,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> DeriveBranch:
    """A branch that keeps the declared views. Raises ConfigError that names every fault of the declarations."""
    dynamodb, days = clients("dynamodb"), settings.tombstone_days
    tombstones = Tombstones(dynamodb, settings.tombstone_table, days, now)
    register = Register(dynamodb, settings.derived_table, tombstones, parallel)
    tables = LedgerTables(dynamodb, settings.ledger_table, settings.derived_table, days, now, sleep)
    views = check(declared)
    return DeriveBranch(views, register, Ledger(tables, parallel), TableFormat(tables, views).check)
