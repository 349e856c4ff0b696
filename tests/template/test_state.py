"""What must outlive a deployment, and stay private: tables and the parking bucket."""

import pytest

TABLES = {"DerivedTable": ("pk", "sk"), "LedgerTable": ("id",), "TombstoneTable": ("id",), "ClaimTable": ("id",)}


@pytest.fixture(params=TABLES)
def table(request, template):
    return request.param, template.properties(request.param)


@pytest.fixture
def bucket(template):
    return template.properties("ParkingBucket")


def test_there_are_no_other_tables_or_buckets(template):
    assert set(template.of_type("AWS::DynamoDB::Table")) == set(TABLES)
    assert set(template.of_type("AWS::S3::Bucket")) == {"ParkingBucket"}


@pytest.mark.parametrize("logical_id", [*TABLES, "ParkingBucket"])
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
    _, properties = table
    assert properties["TimeToLiveSpecification"] == {"AttributeName": "expires_at", "Enabled": True}


def test_the_parking_bucket_is_encrypted_versioned_and_closed_to_the_public(bucket):
    (encryption,) = bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert encryption["ServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": {"Fn::If": ["ParkingKeyGiven", "aws:kms", "AES256"]},
        "KMSMasterKeyID": {"Fn::If": ["ParkingKeyGiven", {"Ref": "ParkingKeyArn"}, {"Ref": "AWS::NoValue"}]},
    }
    blocks = bucket["PublicAccessBlockConfiguration"]
    assert set(blocks) == {"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"}
    assert all(block is True for block in blocks.values())
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    assert bucket["VersioningConfiguration"] == {"Status": "Enabled"}


def test_the_parking_bucket_answers_only_over_tls(template):
    (statement,) = template.properties("ParkingBucketPolicy")["PolicyDocument"]["Statement"]
    assert (statement["Effect"], statement["Principal"], statement["Action"]) == ("Deny", "*", "s3:*")
    assert statement["Condition"] == {"Bool": {"aws:SecureTransport": False}}
    assert statement["Resource"] == [
        {"Fn::GetAtt": ["ParkingBucket", "Arn"]},
        {"Fn::Sub": "${ParkingBucket.Arn}/*"},
    ]


def test_parked_changes_end_with_their_term(bucket):
    (rule,) = bucket["LifecycleConfiguration"]["Rules"]
    assert rule["Status"] == "Enabled"
    assert rule["ExpirationInDays"] == {"Ref": "ParkingDays"}


def test_parked_changes_are_kept_longer_than_deletions_by_default(template):
    assert template.defaults()["ParkingDays"] > template.defaults()["TombstoneDays"]
