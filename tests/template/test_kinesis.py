"""A source that is a Kinesis data stream: read by the same mapping, filtered, allowed, and by as many as like."""

import itertools
import json
import re

import pytest

from deploy.template import BRANCHES, MORE, listed
from distributary.derive.settings import DeriveSettings
from local import template as local
from local.intrinsics import Scope, resolve
from tests.fakes.kinesis import arn_of, source_of
from tests.fakes.streaming import arn_of as stream_of

READERS = [*BRANCHES, *(f"Derive{which}" for which in MORE), "Trunk"]
TABLE, DATA = stream_of("users"), source_of("users")


def given_to(reader, source, **more):
    """A further table of derive comes with the first one's stream."""
    first = {"DeriveSourceArn": stream_of("orders")} if reader.removeprefix("Derive") in MORE else {}
    return {**first, f"{reader}SourceArn": source, **more}


def scope(template, given):
    document = template.document
    kinds = {key: each["Type"] for key, each in document["Resources"].items()}
    return Scope(template.defaults() | given, kinds, document["Conditions"], "eu-west-1", "123456789012", "shop")


def mapping_of(template, reader, given):
    """Its stream and its filter's pattern."""
    found = template.mapping(reader) if reader in (*BRANCHES, "Trunk") else template.properties(f"{reader}Stream")
    here = scope(template, given)
    (one,) = found["FilterCriteria"]["Filters"]
    source = resolve(found.get("Stream", found.get("EventSourceArn")), here)
    return source, json.loads(resolve(one["Pattern"], here))


@pytest.mark.parametrize("reader", READERS)
def test_a_mapping_reads_the_data_stream_that_its_source_names(reader, template):
    names = ["INSERT"] if reader == "Welcome" else ["INSERT", "MODIFY", "REMOVE"]
    assert mapping_of(template, reader, given_to(reader, TABLE)) == (TABLE, {"eventName": names})
    of_table = {"data": {"tableName": ["users"], "eventName": names}}
    assert mapping_of(template, reader, given_to(reader, DATA)) == (arn_of(), of_table)


@pytest.mark.parametrize("reader", READERS)
def test_a_role_reads_the_data_stream_of_its_function_and_no_other(reader, template):
    role = "Derive" if reader.removeprefix("Derive") in MORE else reader
    (policy,) = template.properties(f"{role}Role")["Policies"]
    for source, allowed in ((TABLE, []), (DATA, [arn_of(), f"{arn_of()}/consumer/*"])):
        here = scope(template, given_to(reader, source))
        chosen = [each for each in policy["PolicyDocument"]["Statement"] if "DataStream" in str(each)]
        statements = [found for each in chosen if (found := resolve([each], here))]
        resources = [resource for each in statements for part in each for resource in part["Resource"]]
        assert resources == allowed
        for statement in (part for each in statements for part in each):
            assert {action.partition(":")[0] for action in listed(statement["Action"])} == {"kinesis"}


@pytest.mark.parametrize("reader", READERS)
def test_a_function_has_a_consumer_of_its_own_only_by_enhanced_fan_out(reader, template):
    condition, consumer = f"{reader}FansOut", template.document["Resources"][f"{reader}Consumer"]
    assert consumer["Condition"] == condition
    for source, reading in itertools.product((TABLE, DATA, ""), ("none", "shared", "enhanced")):
        here = scope(template, given_to(reader, source, KinesisReading=reading))
        wanted = source == DATA and reading == "enhanced"
        assert resolve(template.document["Conditions"][condition], here) is wanted
    here = scope(template, given_to(reader, DATA))
    assert resolve(consumer["Properties"]["StreamARN"], here) == arn_of()
    names = [template.properties(f"{each}Consumer")["ConsumerName"]["Fn::Sub"] for each in READERS]
    assert len(set(names)) == len(names)
    found = template.mapping(reader) if reader in (*BRANCHES, "Trunk") else template.properties(f"{reader}Stream")
    stream = found.get("Stream", found.get("EventSourceArn"))["Fn::If"][1]
    assert stream["Fn::If"][:2] == [condition, {"Fn::GetAtt": [f"{reader}Consumer", "ConsumerARN"]}]


@pytest.mark.parametrize("name", BRANCHES)
def test_a_function_that_the_trunk_reads_for_pays_for_no_consumer(name, template):
    given = {f"{name}SourceArn": DATA, "TrunkSourceArn": DATA, "KinesisReading": "enhanced"}
    here = scope(template, given)
    assert resolve(template.document["Conditions"][f"{name}FansOut"], here) is False
    assert resolve(template.document["Conditions"]["TrunkFansOut"], here) is True


@pytest.mark.parametrize("reading", ["none", "shared", "enhanced"])
def test_a_data_stream_has_as_many_readers_as_one_says(reading, template):
    given = {f"{name}SourceArn": DATA for name in BRANCHES} | {"KinesisReading": reading}
    assertions = template.document["Rules"]["AStreamHasTwoReaders"]["Assertions"]
    held = [resolve(each["Assert"], scope(template, given)) for each in assertions]
    assert all(held) is (reading != "none")


@pytest.mark.parametrize("parameter", [f"{reader}SourceArn" for reader in READERS])
def test_either_source_is_taken_and_nothing_else(parameter, template):
    pattern = template.document["Parameters"][parameter]["AllowedPattern"]
    for good in ("", TABLE, DATA, source_of("users", "a.b_c-D9")):
        assert re.fullmatch(pattern, good)
    for bad in (arn_of(), f"{DATA}/", f"{DATA}/consumer/x", source_of("users", ""), TABLE + "/kinesis/x", "users"):
        assert not re.fullmatch(pattern, bad)
    earlier = template.document["Parameters"]["EarlierStreams"]["AllowedPattern"]
    assert re.fullmatch(earlier, f"{TABLE}=0,{DATA}=1")
    assert not re.fullmatch(earlier, f"{arn_of()}=0")


def test_a_function_reads_items_from_the_table_of_its_data_stream(root):
    given = {"DeriveSourceArn": DATA, "EarlierStreams": f"{TABLE}=0", "Generation": "1"}
    environment = local.Template(root / "template.yaml").function("derive", given, "eu-west-1").environment
    settings = DeriveSettings.load(environment)
    assert settings.streams == {DATA: 1, TABLE: 0}
    assert (settings.tables, settings.source()) == (("users",), TABLE.partition("/stream/")[0])
