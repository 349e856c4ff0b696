"""A wrong deployment stops at the start and names every fault at once."""

import pytest

from distributary.archive.settings import ArchiveSettings
from distributary.consumer.settings import whole
from distributary.derive.settings import DeriveSettings
from distributary.errors import ConfigError
from distributary.index.settings import IndexSettings, PurgeSettings
from distributary.replicate.settings import ReplicateSettings
from distributary.welcome.settings import WelcomeSettings
from tests.replaced import replace

STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/users/stream/2026-11-20T09:12:44.017"
EVERY_FUNCTION = {"PARKING_BUCKET": "distributary-parking", "GENERATION": "0"}
EVERYWHERE = {**EVERY_FUNCTION, "STREAMS": f"{STREAM}=0,=0,"}
GOOD = {
    ArchiveSettings: {**EVERYWHERE, "ARCHIVE_BUCKET": "distributary-archive"},
    DeriveSettings: {
        **EVERYWHERE,
        "SOURCES": STREAM,
        "RECONCILE_READ_UNITS": "250",
        "DERIVED_TABLE": "derived",
        "LEDGER_TABLE": "ledger",
        "TOMBSTONE_TABLE": "tombstones",
        "TOMBSTONE_DAYS": "7",
    },
    IndexSettings: {
        **EVERYWHERE,
        "RECONCILE_READ_UNITS": "250",
        "ALSO_GENERATION": "1",
        "OPENSEARCH_ENDPOINT": "https://search.example.com",
        "OPENSEARCH_SERVICE": "es",
        "OPENSEARCH_SECRET": "none",
        "OPENSEARCH_REQUEST_MIB": "5",
    },
    PurgeSettings: {
        **EVERY_FUNCTION,
        "OPENSEARCH_ENDPOINT": "https://search.example.com",
        "OPENSEARCH_SERVICE": "basic",
        "OPENSEARCH_SECRET": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:search-AbCdEf",
        "MARKER_DAYS": "8",
    },
    WelcomeSettings: {
        **EVERYWHERE,
        "CLAIM_TABLE": "claims",
        "CLAIM_DAYS": "30",
        "PARKING_DAYS": "60",
        "MAX_AGE_SECONDS": "3600",
        "EVENT_NAMES": "INSERT,MODIFY",
        "SEND_RATE": "14",
        "CONCURRENCY": "2",
        "SENDER": "hello@example.com",
        "REPLY_TO": "help@example.com",
        "CONFIGURATION_SET": "distributary-welcome",
        "TOPIC_ARN": "arn:aws:sns:eu-west-1:123456789012:news",
        "SMS_CALLING_CODES": "+44,+1",
        "EVENT_BUS": "default",
    },
    ReplicateSettings: {
        **EVERYWHERE,
        "RECONCILE_READ_UNITS": "250",
        "REPLICA_TABLE": "users",
        "REPLICA_REGION": "us-west-2",
        "SOURCE_REGION": "us-east-1",
        "TARGET_ROLE_ARN": "none",
        "VERSION_ATTRIBUTE": "_distributary_version",
        "TOMBSTONE_TABLE": "tombstones",
        "TOMBSTONE_DAYS": "7",
    },
}
BAD = {
    "ARCHIVE_BUCKET": ["A Bucket", "ab", "bucket/prefix"],
    "PARKING_BUCKET": ["A Bucket", "ab", "-bucket", "bucket/prefix", "bucket\n"],
    "STREAMS": ["users=0", STREAM, f"{STREAM}=x", f"{STREAM}=0,{STREAM}=1"],
    "SOURCES": ["users", f"{STREAM},{STREAM}", f"{STREAM}=0"],
    "GENERATION": ["-1", "1.0", "one", "1000000", " 1", "1\n", "٣", "1_0"],
    "RECONCILE_READ_UNITS": ["0", "1000001", "2.5"],
    "DERIVED_TABLE": ["ab", "a b c", "x" * 256, "arn:aws:dynamodb:eu-west-1:1:stream/users"],
    "LEDGER_TABLE": ["ab", "table!"],
    "TOMBSTONE_TABLE": ["ab", "table!"],
    "TOMBSTONE_DAYS": ["0", "1", "3651", "7 days"],
    "OPENSEARCH_ENDPOINT": [
        "search.example.com",
        "https://",
        "https://x/index",
        "https://user:pw@x",
        "ftp://x",
        "http://x",
    ],
    "ALSO_GENERATION": ["-1", "one", "1000000"],
    "OPENSEARCH_SERVICE": ["ES", "s3"],
    "OPENSEARCH_SECRET": ["search", "arn:aws:s3:::bucket", "arn:aws:ssm:eu-west-1:1:parameter/a b"],
    "OPENSEARCH_REQUEST_MIB": ["0", "91", "5.5"],
    "MARKER_DAYS": ["0", "1", "3651"],
    "CLAIM_TABLE": ["a"],
    "CLAIM_DAYS": ["0", "1", "x"],
    "PARKING_DAYS": ["0", "3651", "x"],
    "MAX_AGE_SECONDS": ["59", "86401", "1h"],
    "SENDER": ["hello", "Hello <hello@example.com>", "a@b@c", "a b@example.com", "a@example.com\r\nBcc: x@y.zz"],
    "EVENT_NAMES": ["insert", "INSERT, MODIFY", "UPDATE", ","],
    "SEND_RATE": ["0", "-1", "1e3", "fast", "inf", "14/s"],
    "CONCURRENCY": ["0", "1001", "two"],
    "REPLY_TO": ["hello", "Hello <hello@example.com>", "a@example.com\r\nBcc: x@y.zz"],
    "CONFIGURATION_SET": ["two words", "x" * 65, "set\n"],
    "TOPIC_ARN": ["news", "arn:aws:sqs:eu-west-1:123456789012:news"],
    "SMS_CALLING_CODES": ["49", "+49, +43", "+0", "*"],
    "EVENT_BUS": ["two words", "bus\n"],
    "REPLICA_TABLE": ["a", "x y z"],
    "TARGET_ROLE_ARN": ["None", "role", "arn:aws:iam::1:role/x", "arn:aws:iam::123456789012:role/*", "arn:aws:s3:::x"],
    "VERSION_ATTRIBUTE": ["1st", "a b", "#v", "x" * 101],
    "REPLICA_REGION": [
        "us",
        "us-west",
        "US-WEST-2",
        "us_west_2",
        "us-west-2,",
        "us-west-2,us-west-2",
        "us-west-2, eu-west-1",
    ],
    "SOURCE_REGION": ["us", "us-west-2,eu-west-1"],
}

OPTIONAL = {
    "PARKING_DAYS",
    "STREAMS",
    "SOURCES",
    "RECONCILE_READ_UNITS",
    "ALSO_GENERATION",
    "REPLY_TO",
    "CONFIGURATION_SET",
    "TOPIC_ARN",
    "EVENT_BUS",
    "SMS_CALLING_CODES",
}

classes = pytest.mark.parametrize("settings", GOOD, ids=lambda each: each.__name__)


@classes
def test_good_settings_load_and_every_variable_counts(settings):
    loaded = settings.load({**GOOD[settings], "UNRELATED": "x"})
    assert settings.variables() == set(GOOD[settings])
    assert loaded.generation == 0
    assert loaded.parking_bucket == "distributary-parking"


@classes
def test_all_missing_variables_are_named_at_once(settings):
    with pytest.raises(ConfigError) as caught:
        settings.load({})
    needed = GOOD[settings].keys() - OPTIONAL
    assert len(caught.value.faults) == len(needed)
    for variable in needed:
        assert f"{variable} is missing: set it on the function" in str(caught.value)


@classes
def test_an_empty_variable_is_a_missing_one(settings):
    for variable in GOOD[settings].keys() - OPTIONAL:
        with pytest.raises(ConfigError, match=f"^{variable} is missing"):
            settings.load({**GOOD[settings], variable: ""})


def test_what_is_optional_may_be_missing_or_empty():
    given = {name: text for name, text in GOOD[WelcomeSettings].items() if name not in OPTIONAL}
    for more in ({}, dict.fromkeys(OPTIONAL, "")):
        loaded = WelcomeSettings.load({**given, **more})
        assert {loaded.reply_to, loaded.configuration_set, loaded.topic_arn, loaded.event_bus} == {""}


@pytest.mark.parametrize(
    ("settings", "variable", "text"),
    [(settings, name, text) for settings in GOOD for name in GOOD[settings] for text in BAD[name]],
)
def test_a_malformed_variable_is_named_with_what_to_give(settings, variable, text):
    with pytest.raises(ConfigError, match=f"^{variable}: give ") as caught:
        settings.load({**GOOD[settings], variable: text})
    assert len(caught.value.faults) == 1


def test_missing_and_malformed_variables_are_named_together():
    environment = {**GOOD[DeriveSettings], "GENERATION": "x", "TOMBSTONE_DAYS": "0", "DERIVED_TABLE": ""}
    with pytest.raises(ConfigError) as caught:
        DeriveSettings.load(environment)
    assert sorted(fault.split(":")[0].split(" ")[0] for fault in caught.value.faults) == [
        "DERIVED_TABLE",
        "GENERATION",
        "TOMBSTONE_DAYS",
    ]


@pytest.mark.parametrize("table", ["users", "Users_1.v-2", "arn:aws:dynamodb:eu-west-1:123456789012:table/users"])
def test_a_table_is_a_name_or_an_arn(table):
    assert ReplicateSettings.load({**GOOD[ReplicateSettings], "REPLICA_TABLE": table}).replica_table == table


@pytest.mark.parametrize("region", ["eu-west-1", "us-gov-west-1", "ap-southeast-10", "cn-north-1"])
def test_a_region_is_any_partition_s(region):
    assert ReplicateSettings.load({**GOOD[ReplicateSettings], "REPLICA_REGION": region}).replica_regions == (region,)


def test_several_regions_are_separated_by_commas():
    loaded = ReplicateSettings.load({**GOOD[ReplicateSettings], "REPLICA_REGION": "eu-west-1,us-west-2"})
    assert loaded.replica_regions == ("eu-west-1", "us-west-2")


@pytest.mark.parametrize("endpoint", ["https://search.example.com", "http://127.0.0.1:9200", "https://[::1]:9200/"])
def test_an_endpoint_is_an_address(endpoint):
    assert IndexSettings.load({**GOOD[IndexSettings], "OPENSEARCH_ENDPOINT": endpoint}).endpoint == endpoint


def test_a_whole_number_may_be_the_least_and_the_most():
    assert [whole(0, 64)(text) for text in ("0", "64")] == [0, 64]


def test_a_source_is_asked_for_by_name_where_there_are_several():
    orders = STREAM.replace("users", "orders")
    loaded = DeriveSettings.load({**GOOD[DeriveSettings], "STREAMS": f"{STREAM}=0,{orders}=0"})
    both = replace(loaded, sources=(STREAM, orders))
    assert both.source("orders") == orders.partition("/stream/")[0]
    with pytest.raises(ConfigError, match="the command names none of users, orders"):
        both.source()
    with pytest.raises(ConfigError, match="the function reads users, orders, not 'customers'"):
        both.source("customers")
    with pytest.raises(ConfigError, match="STREAMS is missing"):
        replace(loaded, streams={}, sources=()).source()


def test_settings_cannot_be_changed_once_loaded():
    loaded = DeriveSettings.load(GOOD[DeriveSettings])
    with pytest.raises(AttributeError):
        loaded.generation = 1


@pytest.mark.parametrize(
    ("changed", "refused"),
    [
        ({}, True),
        ({"REPLICA_TABLE": "users-copy"}, False),
        ({"REPLICA_REGION": "eu-west-1"}, False),
        ({"TARGET_ROLE_ARN": "arn:aws:iam::210987654321:role/replica"}, False),
        ({"TARGET_ROLE_ARN": "arn:aws:iam::123456789012:role/replica"}, True),
        ({"REPLICA_TABLE": "arn:aws:dynamodb:us-east-1:123456789012:table/users"}, True),
        ({"REPLICA_TABLE": "arn:aws:dynamodb:us-east-1:210987654321:table/users"}, False),
    ],
)
def test_replicate_refuses_to_write_onto_its_own_source(changed, refused):
    stream = "arn:aws:dynamodb:us-east-1:123456789012:table/users/stream/2026-01-01T00:00:00.000"
    here = {"REPLICA_TABLE": "users", "REPLICA_REGION": "us-east-1", "SOURCE_REGION": "us-east-1"}
    environment = {**GOOD[ReplicateSettings], **here, "STREAMS": f"{stream}=0", "TARGET_ROLE_ARN": "none", **changed}
    if not refused:
        assert ReplicateSettings.load(environment)
        return
    with pytest.raises(ConfigError, match="users' in us-east-1 is the source itself"):
        ReplicateSettings.load(environment)


@pytest.mark.parametrize(
    ("claims", "parking", "kept"), [("30", "30", 31), ("30", "29", 30), ("90", "30", 90), ("2", "", 2)]
)
def test_a_claim_outlives_the_parked_record_that_it_guards(claims, parking, kept):
    """A record is parked up to a day after its claim was made: for so long the stream delivers it."""
    given = {**GOOD[WelcomeSettings], "CLAIM_DAYS": claims, "PARKING_DAYS": parking}
    assert WelcomeSettings.load(given).claims_kept_days == kept
