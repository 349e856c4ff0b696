"""The branches that keep the contract."""

from tests.contract.both import BothHarness
from tests.contract.derive import DeriveHarness
from tests.contract.derive_ledger import LedgerHarness
from tests.contract.index import IndexHarness
from tests.contract.regions import MergedHarness, MultiActiveHarness
from tests.contract.replicate import ReplicateHarness
from tests.contract.welcome import WelcomeHarness

HARNESSES = (
    DeriveHarness(),
    LedgerHarness(),
    IndexHarness(),
    BothHarness(),
    WelcomeHarness(),
    ReplicateHarness(),
    MultiActiveHarness(),
    MergedHarness(),
)
