"""The template as values."""

from pathlib import Path

import pytest

from local.errors import LocalError
from local.esm.settings import MappingSettings
from local.stack import Project
from local.template import Template, samconfig_parameters

ARN = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/x"
ROOT = Path(__file__).parents[2]


def test_globals_parameters_and_functions_are_resolved(project):
    spec = project.template.function("probe", {"ProbeSourceArn": ARN, "Needed": "x", "BatchSize": "7"}, "eu-west-1")
    assert (spec.handler, spec.timeout, spec.memory) == ("app.handler", 1, 256)
    assert spec.environment == {
        "BUCKET": "distributary-bucket-000000000000",
        "TABLE": "distributary-Table",
        "DEPLOYED": "yes",
        "ADDRESS": "arn:aws:dynamodb:eu-west-1:000000000000:table/distributary-Table/eu-west-1",
    }
    assert spec.mappings == (
        MappingSettings(
            "TRIM_HORIZON",
            batch_size=7,
            retries=2,
            bisect=True,
            reports_failures=True,
            on_failure="arn:aws:s3:::distributary-bucket-000000000000",
        ),
    )


def test_the_source_is_the_parameter_that_the_mapping_reads(project):
    assert project.template.source_parameter("probe") == "ProbeSourceArn"


def test_derive_has_a_parameter_for_each_table_that_it_can_read():
    template = Project(ROOT).template
    assert template.source_parameters("index") == ("IndexSourceArn",)
    names = ("DeriveSourceArn", "DeriveSecondSourceArn", "DeriveThirdSourceArn", "DeriveFourthSourceArn")
    assert template.source_parameters("derive") == names


@pytest.mark.parametrize(("given", "stream"), [({}, False), ({"DerivedTableStream": "true"}, True)])
def test_the_derived_table_has_a_stream_only_if_it_is_asked_for(given, stream):
    tables = Template(ROOT / "template.yaml").storage(given, "us-east-1").tables
    assert {each.name for each in tables if each.stream} == ({"distributary-DerivedTable"} if stream else set())


def test_storage_has_the_names_that_the_environment_has(project):
    storage = project.template.storage({"Needed": "x"}, "us-east-1")
    assert [table.name for table in storage.tables] == ["distributary-Table"]
    assert storage.buckets == ("distributary-bucket-000000000000",)


@pytest.mark.parametrize(("given", "name"), [("shared", "shared"), ("", "distributary-TombstoneTable")])
def test_a_table_that_the_template_names_has_that_name_wherever_it_is_meant(given, name):
    template = Project(ROOT).template
    parameters = samconfig_parameters(ROOT / "samconfig.toml") | {"TombstoneTableName": given}
    spec = template.function("replicate", {**parameters, "ReplicateSourceArn": ARN}, "us-east-1")
    assert spec.environment["TOMBSTONE_TABLE"] == name
    assert name in [table.name for table in template.storage(parameters, "us-east-1").tables]


NO_STREAM = {
    "drift": "ReplicateSourceArn",
    "suppress": "WelcomeSourceArn",
    "indexpurge": "IndexSourceArn",
    "feed": "DeriveSourceArn",
    "deferred": "DeriveSourceArn",
}
"""Functions that something else calls, and what they are deployed with."""


def test_a_table_has_the_name_that_a_parameter_gives_it():
    own, given = Template(ROOT / "template.yaml"), {"TombstoneTableName": "users-deletions"}
    names = {spec.name for spec in own.storage(given, "eu-west-1").tables}
    assert "users-deletions" in names
    replica = {"ReplicaTableName": "users", "ReplicaRegion": "us-east-1", "ReplicateSourceArn": "arn"}
    spec = own.function("replicate", {**given, **replica}, "eu-west-1")
    assert spec.environment["TOMBSTONE_TABLE"] == "users-deletions"


def test_the_projects_own_template_resolves_for_every_function():
    template = Project(ROOT).template
    parameters = samconfig_parameters(ROOT / "samconfig.toml")
    for name in template.functions():
        source = {NO_STREAM[name] if name in NO_STREAM else template.source_parameter(name): ARN}
        spec = template.function(name, {**parameters, **source}, "us-east-1")
        assert spec.environment["POWERTOOLS_SERVICE_NAME"] == name.removesuffix("purge")
        assert len(spec.mappings) == (0 if name in NO_STREAM else 1)


@pytest.mark.parametrize(
    ("given", "says"),
    [({"Nedeed": "x"}, "Nedeed"), ({}, "--parameter"), ({"Needed": "x", "BatchSize": "0"}, "BatchSize is 0")],
)
def test_what_cannot_be_resolved_is_said_in_one_line(tmp_path, project, given, says):
    text = (project.folder / "template.yaml").read_text().replace('"yes", "no"', '!Ref Needed, "no"')
    (tmp_path / "template.yaml").write_text(text)
    with pytest.raises(LocalError, match=says) as refused:
        Template(tmp_path / "template.yaml").function("probe", {"ProbeSourceArn": ARN, **given}, "us-east-1")
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"ReplicaTable": "x"}, "no parameter ReplicaTable: did you mean ReplicaTableName"),
        ({"BatchSiez": "1"}, "no parameter BatchSiez: did you mean BatchSize"),
        ({"Window": "1"}, "no parameter Window: did you mean BatchingWindowSeconds or ArchiveBatchingWindowSeconds"),
        ({"Zzz": "1"}, "no parameter Zzz: it has DeriveSourceArn, "),
        ({"WelcomeEventNames": "INSERT, REMOVE"}, "WelcomeEventNames is 'INSERT, REMOVE': give one of 'INSERT', "),
        ({"WelcomeEventNames": "EXPIRED"}, "WelcomeEventNames is 'EXPIRED': give one of 'INSERT', "),
    ],
)
def test_a_wrong_parameter_is_told_what_the_template_takes(given, says):
    with pytest.raises(LocalError) as refused:
        Template(ROOT / "template.yaml").function("welcome", {**given, "WelcomeSourceArn": ARN}, "us-east-1")
    assert says in str(refused.value)


def test_an_unknown_function_names_those_there_are(project):
    with pytest.raises(LocalError, match="name one of probe"):
        project.template.source("porbe")


@pytest.mark.parametrize(
    "properties",
    [
        {"StartingPosition": "AT_TIMESTAMP"},
        {"StartingPosition": "LATEST", "BatchSize": 10_001},
        {"StartingPosition": "LATEST", "MaximumBatchingWindowInSeconds": 301},
        {"StartingPosition": "LATEST", "ParallelizationFactor": 11},
        {"StartingPosition": "LATEST", "MaximumRecordAgeInSeconds": 59},
        {"StartingPosition": "LATEST", "MaximumRetryAttempts": "many"},
        {"StartingPosition": "LATEST", "TumblingWindowInSeconds": 60},
        {"StartingPosition": "LATEST", "FilterCriteria": {"Filters": [{"Pattern": "{"}]}},
    ],
)
def test_a_mapping_that_lambda_would_refuse_is_refused(properties):
    with pytest.raises(LocalError):
        MappingSettings.of(properties)


@pytest.mark.parametrize(
    ("given", "reserved"), [({}, 2), ({"WelcomeConcurrency": "7"}, 7), ({"WelcomeReservesConcurrency": "false"}, None)]
)
def test_reserved_concurrency_is_the_templates(given, reserved):
    given = {**samconfig_parameters(ROOT / "samconfig.toml"), "WelcomeSourceArn": ARN, **given}
    template = Template(ROOT / "template.yaml")
    assert template.function("welcome", given, "us-east-1").reserved == reserved
    assert template.function("derive", {**given, "DeriveSourceArn": ARN}, "us-east-1").reserved is None
