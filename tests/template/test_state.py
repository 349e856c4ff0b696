"""What must outlive a deployment, and stay private: tables and the parking bucket."""

import json

import pytest

from deploy.template import resolved
from distributary.archive.line import line
from distributary.readers.archive_layout import data_prefix, hour_prefix
from tests.unit.records import change

TABLES = {
    "DerivedTable": ("pk", "sk"),
    "LedgerTable": ("id",),
    "TombstoneTable": ("id",),
    "ClaimTable": ("id",),
    "BreakerTable": ("id",),
}
BUCKETS = ("ParkingBucket", "ArchiveBucket", "DeferredBucket")


@pytest.fixture(params=TABLES)
def table(request, template):
    return request.param, template.properties(request.param)


@pytest.fixture
def bucket(template):
    return template.properties("ParkingBucket")


@pytest.fixture(params=["Parking", "Archive", "Deferred"])
def either(request, template):
    return request.param, template.properties(f"{request.param}Bucket")


def test_there_are_no_other_tables_or_buckets(template):
    assert set(template.of_type("AWS::DynamoDB::Table")) == set(TABLES)
    assert set(template.of_type("AWS::S3::Bucket")) == set(BUCKETS)


@pytest.mark.parametrize("logical_id", [*TABLES, *BUCKETS])
def test_state_outlives_the_stack_and_every_parameter(logical_id, template):
    resource = template.document["Resources"][logical_id]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("RetainExceptOnCreate", "Retain")
    assert "Condition" not in resource


def test_a_table_is_keyed_by_strings_as_the_layer_writes_them(table):
    name, properties = table
    assert tuple(key["AttributeName"] for key in properties["KeySchema"]) == TABLES[name]
    assert {each["AttributeType"] for each in properties["AttributeDefinitions"]} == {"S"}


def test_a_table_is_on_demand_encrypted_and_recoverable(table):
    _, properties = table
    assert properties["BillingMode"] == "PAY_PER_REQUEST"
    assert properties["SSESpecification"] == {"SSEEnabled": True}
    assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}


def test_every_table_can_be_protected_once_it_is_there(table, template):
    """Not by default: the rollback of a first deployment could not delete a protected table."""
    assert table[1]["DeletionProtectionEnabled"] == {"Ref": "ProtectTables"}
    assert template.defaults()["ProtectTables"] == "false"


def test_a_table_forgets_at_expires_at(table):
    """A breaker is never forgotten: a branch would be called that an operator has paused."""
    name, properties = table
    expected = None if name == "BreakerTable" else {"AttributeName": "expires_at", "Enabled": True}
    assert properties.get("TimeToLiveSpecification") == expected


def test_a_bucket_is_encrypted_and_closed_to_the_public(either):
    name, bucket = either
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    key = "Parking" if name == "Deferred" else name
    assert encryption["ServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": {"Fn::If": [f"{key}KeyGiven", "aws:kms", "AES256"]},
        "KMSMasterKeyID": {"Fn::If": [f"{key}KeyGiven", {"Ref": f"{key}KeyArn"}, {"Ref": "AWS::NoValue"}]},
    }
    blocks = bucket["PublicAccessBlockConfiguration"]
    assert set(blocks) == {"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"}
    assert all(block is True for block in blocks.values())
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert bucket.get("VersioningConfiguration") == (None if name == "Deferred" else {"Status": "Enabled"})


def test_what_is_deferred_never_expires_and_is_gone_once_it_was_taken(template):
    assert "LifecycleConfiguration" not in template.properties("DeferredBucket")
    assert "VersioningConfiguration" not in template.properties("DeferredBucket")


@pytest.mark.parametrize("name", BUCKETS)
def test_a_bucket_answers_only_over_tls(name, template):
    (statement,) = template.properties(f"{name}Policy")["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": False}}
    assert statement["Resource"] == [
        {"Fn::GetAtt": [name, "Arn"]},
        {"Fn::Sub": f"${{{name}.Arn}}/*"},
    ]


def test_parked_changes_end_with_their_term(bucket):
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert rule["Status"] == "Enabled"
    assert rule["ExpirationInDays"] == {"Ref": "ParkingDays"}


def test_parked_changes_are_kept_longer_than_deletions_by_default(template):
    assert template.defaults()["ParkingDays"] > template.defaults()["TombstoneDays"]


def test_the_archive_is_locked_only_if_asked_and_can_be_locked_later(template):
    """An existing bucket without Object Lock would have to be replaced."""
    archive = template.properties("ArchiveBucket")
    assert archive["ObjectLockEnabled"] is True
    condition, lock, otherwise = archive["ObjectLockConfiguration"]["Fn::If"]
    assert (condition, otherwise) == ("ArchiveIsLocked", {"Ref": "AWS::NoValue"})
    assert lock["Rule"]["DefaultRetention"] == {"Mode": {"Ref": "ArchiveLockMode"}, "Days": {"Ref": "ArchiveLockDays"}}
    assert template.defaults()["ArchiveLockDays"] == 0


def test_the_archive_moves_to_cheaper_classes_that_are_read_at_once(template):
    cheaper, expire = template.properties("ArchiveBucket")["LifecycleConfiguration"]["Rules"]
    assert [each["StorageClass"] for each in cheaper["Transitions"]] == ["STANDARD_IA", "GLACIER_IR"]
    condition, rule, _ = expire["Fn::If"]
    assert (condition, rule["ExpirationInDays"]) == ("ArchiveEnds", {"Ref": "ArchiveDays"})
    assert template.defaults()["ArchiveDays"] == 0
    assert template.defaults()["ArchiveColdDays"] >= template.defaults()["ArchiveInfrequentDays"] + 30


def test_athena_finds_an_object_where_the_function_puts_it(template):
    table = template.properties("ArchiveTable")["TableInput"]
    location, given = table["Parameters"]["storage.location.template"]["Fn::Sub"]
    hour = 1_795_341_600_000_000
    filled = location.replace("${!day}", "2026-11-22").replace("${!hour}", "10").replace("${Table}", "users")
    assert filled == "s3://${ArchiveBucket}/" + data_prefix("users") + hour_prefix(hour)
    assert table["StorageDescriptor"]["Location"]["Fn::Sub"][0] == location.partition("day=")[0]
    source = "arn:aws:dynamodb:eu-west-1:123456789012:table/users/stream/2026-11-20T09:12:44.017"
    assert resolved(given["Table"], {"ArchiveSourceArn": source}) == "users"
    assert [each["Name"] for each in table["PartitionKeys"]] == ["day", "hour"]


def test_athena_reads_the_fields_that_a_line_has_and_keeps_their_case(template):
    table = template.properties("ArchiveTable")["TableInput"]["StorageDescriptor"]
    mapped = {name: field for name, field in table["SerdeInfo"]["Parameters"].items() if name.startswith("mapping.")}
    fields = json.loads(line(change(0, "MODIFY")))
    assert mapped == {f"mapping.{field.lower()}": field for field in fields}
    assert {each["Name"] for each in table["Columns"]} == {field.lower() for field in fields}


def test_the_derived_table_has_a_stream_of_both_images_if_it_is_asked_for(template):
    images = {"StreamViewType": "NEW_AND_OLD_IMAGES"}
    given = {"Fn::If": ["DerivedTableHasStream", images, {"Ref": "AWS::NoValue"}]}
    assert template.properties("DerivedTable")["StreamSpecification"] == given
    assert template.defaults()["DerivedTableStream"] == "false"
    condition = template.document["Conditions"]["DerivedTableHasStream"]
    assert condition == {"Fn::Equals": [{"Ref": "DerivedTableStream"}, "true"]}
    output = template.document["Outputs"]["DerivedTableStreamArn"]
    assert output["Condition"] == "DerivedTableHasStream"
    assert output["Value"] == {"Fn::GetAtt": ["DerivedTable", "StreamArn"]}
