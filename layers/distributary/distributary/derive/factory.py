"""The derive branch, put together: by the function, the tests, the verifier, and the benchmarks."""

import time
from collections.abc import Callable, Sequence

from distributary.consumer.aws import Clients
from distributary.consumer.parallel import Parallel
from distributary.derive.branch import DeriveBranch
from distributary.derive.declarations import Declaration
from distributary.derive.ledger import Ledger
from distributary.derive.ledger_tables import LedgerTables
from distributary.derive.reconcile import DeriveReconciler
from distributary.derive.settings import DeriveSettings
from distributary.derive.validation import check
from distributary.derive.verify.item_verifier import Comparator
from distributary.derive.verify.repair import Repair
from distributary.dynamodb.tombstones import Tombstones
from distributary.dynamodb.versioned_table import Register
from distributary.stream import version as versions


def reconciler(branch: DeriveBranch, source: str, generation: int) -> DeriveReconciler:
    """Sets items of the table `source` (a name or an ARN) right in every view of the branch."""
    tables = branch.ledger.books
    version = versions.of(generation, versions.SNAPSHOT_POSITION)
    return DeriveReconciler(Comparator(source, branch.views, tables, version), Repair(tables, branch.register))


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
    return DeriveBranch(check(declared), register, Ledger(tables, parallel))
