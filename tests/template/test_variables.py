"""template.yaml gives each function the variables that its settings read, and no others."""

import pytest

from deploy.template import BRANCHES, resolved
from distributary.derive.settings import DeriveSettings
from distributary.index.settings import IndexSettings
from distributary.replicate.settings import ReplicateSettings
from distributary.welcome.settings import WelcomeSettings
from local import template as local

SETTINGS = {
    "Derive": DeriveSettings,
    "Index": IndexSettings,
    "Welcome": WelcomeSettings,
    "Replicate": ReplicateSettings,
}
POWERTOOLS = {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_LOG_LEVEL", "STACK_NAME"}

GIVEN = {
    "OpenSearchEndpoint": "https://search.example.com",
    "WelcomeSender": "hello@example.com",
    "AWS::StackName": "shop",
    "ReplicaTableName": "users-replica",
    "ReplicaRegion": "eu-west-1",
    "AWS::Region": "us-east-1",
    "ParkingBucket": "parking-bucket",
    "DerivedTable": "Derived",
    "LedgerTable": "Ledger",
    "TombstoneTable": "Tombstone",
    "ClaimTable": "Claim",
}


@pytest.fixture(params=BRANCHES)
def name(request):
    return request.param


def test_the_template_sets_exactly_the_variables_that_the_settings_declare(name, template):
    declared = SETTINGS[name].variables()
    python = {"SSL_CERT_FILE"} if name == "Index" else set()
    assert set(template.function(name)["Environment"]["Variables"]) == declared | POWERTOOLS | python


def test_the_settings_accept_what_the_template_sets(name, template):
    variables = resolved(template.function(name)["Environment"]["Variables"], template.defaults() | GIVEN)
    environment = {variable: str(value) for variable, value in variables.items()}
    assert SETTINGS[name].load(environment)


@pytest.mark.parametrize("bound", ["MinValue", "MaxValue"])
def test_the_settings_accept_both_ends_of_every_parameter(name, bound, template):
    parameters = template.document["Parameters"].items()
    ends = {parameter: each[bound] for parameter, each in parameters if bound in each}
    variables = resolved(template.function(name)["Environment"]["Variables"], template.defaults() | GIVEN | ends)
    environment = {variable: str(value) for variable, value in variables.items()}
    assert SETTINGS[name].load(environment)


def test_metrics_and_logs_name_the_branch_as_their_service(name, template):
    assert template.function(name)["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == BRANCHES[name]


@pytest.mark.parametrize("function", ["index", "indexpurge"])
def test_a_private_authority_is_trusted_only_if_its_file_is_named(function, root):
    given = {"IndexSourceArn": "arn:aws:dynamodb:us-east-1:1:table/t/stream/s"}
    project = local.Template(root / "template.yaml")
    named = project.function(function, {**given, "OpenSearchCaFile": "ca.pem"}, "us-east-1").environment
    assert named["SSL_CERT_FILE"] == "/var/task/ca.pem"
    assert "SSL_CERT_FILE" not in project.function(function, given, "us-east-1").environment
