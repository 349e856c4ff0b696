"""Old markers go once a day, and none that a change could still come too late for."""

from deploy.template import resolved
from distributary.index.settings import PurgeSettings

POWERTOOLS = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_LOG_LEVEL", "STACK_NAME"}


def test_it_runs_daily_wherever_index_is_deployed_but_for_collections(template):
    purge = template.document["Resources"]["IndexPurgeFunction"]
    assert purge["Properties"]["Events"]["Daily"]["Properties"] == {"Schedule": "rate(1 day)"}
    assert purge["Condition"] == "IndexPurgeDeployed"
    deployed, collection = template.document["Conditions"]["IndexPurgeDeployed"]["Fn::And"]
    assert deployed == {"Condition": "IndexDeployed"}
    assert collection == {"Fn::Not": [{"Fn::Equals": [{"Ref": "OpenSearchService"}, "aoss"]}]}


def test_its_handler_is_there(template, root):
    module, handler = template.function("IndexPurge")["Handler"].split(".")
    assert f"\ndef {handler}(" in (root / "functions/index" / f"{module}.py").read_text()


def test_markers_outlive_the_longest_redrive_by_default(template):
    assert template.defaults()["MarkerDays"] > template.defaults()["TombstoneDays"]


def test_the_template_sets_exactly_the_variables_that_the_settings_declare(template):
    variables = template.function("IndexPurge")["Environment"]["Variables"]
    assert set(variables) == PurgeSettings.variables() | POWERTOOLS | {"SSL_CERT_FILE"}
    given = template.defaults() | {"ParkingBucket": "parking", "OpenSearchEndpoint": "https://search.example.com"}
    found = {name: str(resolved(value, given)) for name, value in variables.items()}
    assert PurgeSettings.load(found).marker_days == 8
