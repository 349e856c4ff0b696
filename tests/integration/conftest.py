"""What several tests of switched sources start from."""

import pytest

from local.emulators import embedded
from tests.integration.moved_index import Operator
from tests.integration.runbook import REGION, REPLICA_REGION
from tests.integration.switched import Shop, run


def _order(slice, names):
    return f"""from distributary.{slice} import Entity, {names}

ORDER = Entity(name="order", keys=("id",), attributes=("n", "email"))
"""


VIEWS = (
    _order("derive", "Aggregate, Projection")
    + """VIEWS = [
    Projection(name="by-email", of=ORDER, pk="EMAIL#{email}", sk="{id}", keep=("n",)),
    Aggregate(name="all", of=ORDER, pk="ALL", sk="ALL", count="orders", sum={"sum": "n"}),
]
"""
)
INDEXES = (
    _order("index", "Index")
    + """FIELDS = {"n": {"type": "long"}, "email": {"type": "keyword"}}
INDEXES = [Index(name="orders", of=ORDER, id="{id}", fields=FIELDS)]
"""
)
RULES = """
from distributary.welcome import Content, Entity, Rule

ORDER = Entity(name="order", keys=("id",), attributes=("email", "n"), where=lambda order: order["n"] < 100)
TEXT = {"en": Content("Order {{id}}", "Thank you.", "<p>Thank you.</p>")}
RULES = [Rule(name="placed", of=ORDER, to="email", content=TEXT, again="AGAIN")]
"""


@pytest.fixture
def shop(tmp_path, monkeypatch):
    with embedded(outbox=tmp_path / "outbox") as endpoints:
        made = []

        def of(*functions, trunk=False, again="never"):
            declared = {"derive": VIEWS, "index": INDEXES, "welcome": RULES.replace("AGAIN", again)}
            given = {name: text for name, text in declared.items() if name in functions}
            made.append(Shop(endpoints, tmp_path, functions, given, trunk))
            for name, value in made[-1].aws.environment().items():
                monkeypatch.setenv(name, value)
            return made[-1]

        try:
            yield of
        finally:
            for each in made:
                each.close()


@pytest.fixture
def verified(capsys):
    """The status of a branch's own comparison, and what it says."""

    def of(shop, branch, generation, *more):
        found = shop.stack.spec(branch).environment
        given = {
            "derive": ["--derived-table", "DERIVED_TABLE", "--ledger-table", "LEDGER_TABLE"],
            "replicate": ["--region", REGION, "--replica-table", "orders-replica", "--replica-region", REPLICA_REGION],
            "index": ["--endpoint", shop.endpoints.opensearch, "--service", "none"],
        }[branch]
        given += ["--tombstone-table", "TOMBSTONE_TABLE"] if branch != "index" else []
        words = [found.get(word, word) for word in given]
        return run(
            capsys, shop, "verify", branch, "orders", *words, "--generation", str(generation), "--pause", "0", *more
        )

    return of


@pytest.fixture
def operator(capsys, monkeypatch):
    def of(shop):
        made = Operator(shop, capsys)
        monkeypatch.setattr("distributary.index.verify.command.client", made.client)
        return made

    return of
