"""`distributary verify derive`, put together as an operator runs it, over fakes."""

import sys
from copy import deepcopy
from types import SimpleNamespace

import pytest

from distributary.consumer.deadline import Deadline
from distributary.consumer.outcome import Status
from distributary.derive import Aggregate, Entity
from distributary.derive.table_format import ROW_ID, written_under
from distributary.derive.verify import command
from distributary.derive.verify.command import Options, run
from distributary.errors import ConfigError
from distributary.stream.version import GENERATIONS
from tests.fakes.built import derive
from tests.fakes.dynamodb import DynamoDB
from tests.fakes.exports import exported
from tests.replaced import replace
from tests.unit.records import change

USER = Entity(name="user", keys=("user_id",), attributes=("status",))
ALL = Aggregate(name="all", of=USER, pk="ALL", sk="ALL", count="users", shards=3)
BY_STATUS = Aggregate(name="by-status", of=USER, pk="STATUS#{status}", sk="ALL", count="users", shards=3)
FOREVER = Deadline(float("inf"))
USERS = "abcdefgh"
SCHEMAS = {
    "users": {"user_id": "S"},
    "derived": {"pk": "S", "sk": "S"},
    "ledger": {"id": "S"},
    "tombstones": {"id": "S"},
}


class Described(DynamoDB):
    """Tables that tell their keys."""

    def describe_table(self, *, TableName):
        return {
            "Table": {"KeySchema": [{"AttributeName": name} for name in self._table("DescribeTable", TableName)[1]]}
        }


@pytest.fixture
def service(monkeypatch):
    service = Described(SCHEMAS)
    monkeypatch.setattr(command, "_client", lambda *_: service)
    for place, name in enumerate(USERS):
        item = {"status": {"S": "new"}}
        service.put_item(TableName="users", Item={"user_id": {"S": name}, **item})
        derive([ALL, BY_STATUS], service).apply([change(place, user=name, new=item)], FOREVER)
    return service


def declare(monkeypatch, *views):
    monkeypatch.setitem(sys.modules, "views", SimpleNamespace(VIEWS=views))
    return views


def options(**more):
    tables = {"derived_table": "derived", "ledger_table": "ledger", "tombstone_table": "tombstones"}
    return Options(**{"table": "users", "segments": 1, "pause": 0.0, **tables, **more})


def status(service, views, place):
    changed = change(place, "MODIFY", user="a", new={"status": {"S": "old"}}, old={"status": {"S": "new"}})
    return derive(views, service).apply([changed], FOREVER)[0].status


def shards(service):
    """Those that rows were written with, by view."""
    written = written_under(service.state["ledger"][ROW_ID,])
    return {name: {each["shards"] for each in found} for name, found in written.items()}


def test_a_repair_records_changed_shards_so_that_no_rebuild_is_due(service, monkeypatch):
    views = declare(monkeypatch, replace(ALL, shards=2), replace(BY_STATUS, shards=5))
    assert not run(options()).equal
    assert status(service, views, 50) is Status.APPLIED
    assert shards(service) == {"all": {"2", "3"}, "by-status": {"3", "5"}}
    assert run(options(repair=True))["differences"] > 0
    assert run(options()).equal
    assert shards(service) == {"all": {"2"}, "by-status": {"5"}}


def test_a_repair_of_one_view_records_the_shards_of_that_view_alone(service, monkeypatch):
    declare(monkeypatch, replace(ALL, shards=2), replace(BY_STATUS, shards=5))
    run(options(repair=True, view=("all",)))
    assert shards(service) == {"all": {"2"}, "by-status": {"3"}}


def test_a_repair_of_one_view_fills_empty_tables_for_the_function_that_has_all(service, monkeypatch):
    for table in ("derived", "ledger"):
        service.state[table].clear()
    views = declare(monkeypatch, ALL, BY_STATUS)
    run(options(repair=True, view=("all",)))
    assert shards(service).keys() == {"all", "by-status"}
    assert status(service, views, 50) is Status.APPLIED


def test_a_view_that_is_not_declared_is_refused(service, monkeypatch):
    declare(monkeypatch, ALL)
    with pytest.raises(ConfigError, match="no view is called other: declared are all"):
        run(options(view=("other",)))


def test_a_view_of_another_table_is_refused_by_name(service, monkeypatch):
    other = replace(BY_STATUS, of=replace(USER, table="elsewhere"))
    declare(monkeypatch, ALL, other)
    with pytest.raises(ConfigError, match="--view: view 'by-status' is of table 'elsewhere', not 'users'"):
        run(options(view=("by-status",)))


def test_a_table_that_no_view_is_of_is_refused_with_those_there_are(service, monkeypatch):
    declare(monkeypatch, *(replace(view, of=replace(USER, table="elsewhere")) for view in (ALL, BY_STATUS)))
    with pytest.raises(ConfigError, match=r"no view is of table 'users': views\.py names elsewhere"):
        run(options())


def test_keys_that_the_table_lacks_are_a_fault_of_the_declaration(service, monkeypatch):
    wrong = Entity(name="user", keys=("id",), attributes=("status",))
    declare(monkeypatch, replace(ALL, of=wrong))
    with pytest.raises(ConfigError, match="view 'all', user: "):
        run(options())


def test_without_declarations_it_says_what_to_put_on_the_path(service, monkeypatch):
    monkeypatch.delitem(sys.modules, "views", raising=False)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if "functions" not in each])
    with pytest.raises(ConfigError, match=r"there is no views\.py on PYTHONPATH: add functions/derive to it"):
        run(options())


def test_a_module_that_views_py_lacks_is_named_as_python_does(service, monkeypatch, tmp_path):
    (tmp_path / "views.py").write_text("import no_such_module\n")
    monkeypatch.delitem(sys.modules, "views", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        run(options())


def test_a_source_table_that_is_not_there_is_named(service, monkeypatch):
    declare(monkeypatch, ALL)
    with pytest.raises(ConfigError, match="nowhere"):
        run(options(table="nowhere"))


def test_each_table_that_is_not_there_is_named_with_its_option(service, monkeypatch):
    declare(monkeypatch, ALL, BY_STATUS)
    with pytest.raises(ConfigError) as raised:
        run(replace(options(), derived_table="nope", tombstone_table="neither"))
    assert [fault.split(";")[0] for fault in raised.value.faults] == [
        "--derived-table: table nope: ResourceNotFoundException",
        "--tombstone-table: table neither: ResourceNotFoundException",
    ]


def test_tables_that_were_given_for_each_other_are_named_with_their_keys(service, monkeypatch):
    declare(monkeypatch, ALL, BY_STATUS)
    with pytest.raises(ConfigError) as raised:
        run(replace(options(), derived_table="ledger", ledger_table="derived"))
    assert raised.value.faults == [
        "--derived-table: table ledger has the key id, and a derived table pk, sk: give the stack's output "
        "DerivedTableName",
        "--ledger-table: table derived has the key pk, sk, and a ledger table id: give the stack's output "
        "LedgerTableName",
    ]


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"derived_table": ""}, "--derived-table is missing: give the stack's output DerivedTableName"),
        ({"ledger_table": ""}, "--ledger-table is missing: give the stack's output LedgerTableName"),
        ({"tombstone_table": "", "repair": True}, "--tombstone-table is missing"),
        ({"segments": 0}, "--segments: give 1 to 64"),
        ({"segments": 65}, "--segments: give 1 to 64"),
        ({"pause": -0.1}, "--pause: give 0 to 3600 seconds"),
        ({"pause": 3600.1}, "--pause: give 0 to 3600 seconds"),
        ({"generation": -1}, "--generation: give the function's GENERATION"),
        ({"generation": GENERATIONS}, "--generation: give the function's GENERATION"),
        ({"tombstone_days": 0}, "--tombstone-days: give 1 to 3650"),
        ({"tombstone_days": 3651}, "--tombstone-days: give 1 to 3650"),
        ({"export": "/no/such/folder"}, "--export: there is no such folder"),
    ],
    ids=str,
)
def test_an_option_that_cannot_be_is_refused_before_a_table_is_read(service, monkeypatch, changed, fault):
    declare(monkeypatch, ALL, BY_STATUS)
    service.calls.clear()
    with pytest.raises(ConfigError) as raised:
        run(replace(options(), **changed))
    assert [each.split(":")[0] for each in raised.value.faults] == [fault.split(":")[0]]
    assert raised.value.faults[0].startswith(fault)
    assert service.calls == {}


@pytest.mark.parametrize(
    "changed",
    [
        {"segments": 64, "pause": 3600.0, "generation": GENERATIONS - 1, "tombstone_days": 3650},
        {"tombstone_days": 1, "tombstone_table": ""},
    ],
    ids=str,
)
def test_the_least_and_the_most_of_each_option_are_taken(service, monkeypatch, changed):
    declare(monkeypatch, ALL, BY_STATUS)
    assert run(replace(options(), **changed)).equal


def test_a_full_export_is_read_in_place_of_the_scan(service, monkeypatch, tmp_path):
    declare(monkeypatch, ALL, BY_STATUS)
    exported(tmp_path, service.state["users"].values(), tableArn="arn:aws:dynamodb:us-east-1:123456789012:table/users")
    scans, scan = [], service.scan
    monkeypatch.setattr(service, "scan", lambda **given: scans.append(given["TableName"]) or scan(**given))
    report = run(options(export=str(tmp_path)))
    assert (report.equal, report["items"]) == (True, len(USERS))
    assert set(scans) == {"derived", "ledger"}


@pytest.mark.parametrize("repair", [False, True])
def test_an_export_of_another_table_is_refused_before_anything_is_compared(service, monkeypatch, tmp_path, repair):
    """Its items have the same key attributes: each would be taken for one of this table's."""
    declare(monkeypatch, ALL, BY_STATUS)
    exported(tmp_path, service.state["users"].values())
    kept = deepcopy(service.state["derived"])
    with pytest.raises(ConfigError, match=r"manifest-summary\.json: the export is of ProductCatalog, not of users"):
        run(options(export=str(tmp_path), repair=repair))
    assert service.state["derived"] == kept
