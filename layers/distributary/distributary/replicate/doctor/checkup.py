"""Asks the services, and has their answers judged."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

import boto3

from distributary.consumer.aws import AwsError, code_of
from distributary.errors import ConfigError
from distributary.replicate.doctor import checks, other_account, probes
from distributary.replicate.verify.tables import Place, described
from distributary.stream.change import REPLICA_VERSION
from distributary.verify import stream_readers
from distributary.verify.finding import Finding, unknown

SAMPLE = 100
"""So many items of each table are looked at."""


@dataclass(frozen=True, slots=True)
class Patient:
    """What is examined. `function` is the name or ARN of the function that is, or will be, attached; `shared`: the
    declaration takes some items only."""

    source: Place
    replica: Place
    tombstones: Place | None
    function: str | None
    version_attribute: str = REPLICA_VERSION
    shared: bool = False


def run_checks(patient: Patient, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> Iterator[Finding]:
    """Every finding. Without either table nothing else can be checked. Raises ConfigError."""
    client, other = patient.source.client(), patient.replica.client()
    source, replica = described(client, patient.source.table), described(other, patient.replica.table)
    yield checks.stream(source)
    yield checks.keys(source, replica)
    yield _readers(patient, source)
    yield checks.not_global(source, replica)
    yield _opposite(patient, source, replica)
    asked = patient.source.region or str(client.meta.region_name), patient.replica.region
    yield checks.regions(source, replica, asked, _known())
    dates = {"the source's region": _date(client, source), "the replica's region": _date(other, replica)}
    yield checks.clock(dates, now())
    attribute = patient.version_attribute
    yield _sampled("version attribute", client, source, lambda items: checks.unused(items, source, attribute))
    yield _sampled("replica's rows", other, replica, lambda rows: checks.written_by_us(rows, attribute))
    yield from probes.reads(client, "source", source)
    if arn := source.get("LatestStreamArn"):
        yield from probes.stream(patient.source.client("dynamodbstreams"), arn)
        yield from other_account.examine(client, arn, patient.function)
    yield from probes.writes(other, "replica", replica)
    yield from probes.reads(other, "replica", replica)
    yield from _tombstones(patient)


def run_region_checks(
    places: Mapping[str, Place],
    tombstones: str | None,
    function: str | None,
    attribute: str,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Iterator[Finding]:
    """Every finding of tables that are all written, the first place's beside each other one. Raises ConfigError."""
    clients = {region: place.client() for region, place in places.items()}
    tables = {region: described(clients[region], place.table) for region, place in places.items()}
    here, *others = places
    for region, table in tables.items():
        place, client = places[region], clients[region]
        patient = Patient(place, place, Place(tombstones, region, place.endpoint) if tombstones else None, function)
        found = [checks.stream(table), _readers(patient, table)]
        found.append(_sampled("version attribute", client, table, partial(checks.marked, table, attribute)))
        found += [*probes.reads(client, "table", table), *probes.writes(client, "table", table)]
        found += [*_tombstones(patient), *_forgetting(patient)]
        yield from (replace(each, check=f"{region}: {each.check}") for each in found)
    for other in others:
        found = [check(tables[here], tables[other]) for check in (checks.keys, checks.not_global)]
        found.append(checks.regions(tables[here], tables[other], (here, other), _known()))
        yield from (replace(each, check=f"{here}, {other}: {each.check}") for each in found)
    yield checks.clock({region: _date(clients[region], tables[region]) for region in places}, now())


def _forgetting(patient: Patient) -> Iterator[Finding]:
    """Whether the table of deletions lets go of them."""
    if patient.tombstones is None:
        return
    try:
        answer = patient.tombstones.client().describe_time_to_live(TableName=patient.tombstones.table)
        region = patient.tombstones.region or ""
        yield checks.expiring(patient.tombstones.table, region, answer["TimeToLiveDescription"])
    except AwsError as error:
        yield unknown("tombstones", f"DescribeTimeToLive: {code_of(error)}", "allow it to these credentials")


def _tombstones(patient: Patient) -> Iterator[Finding]:
    if patient.tombstones is None:
        fix = "give --tombstone-table (the stack's output TombstoneTableName)"
        yield unknown("permission", "the tombstones' table is not named", fix)
        return
    client = patient.tombstones.client()
    try:
        table = described(client, patient.tombstones.table)
    except ConfigError as error:
        yield unknown("permission", str(error), "deploy the stack, or correct --tombstone-table")
        return
    tried = [*probes.writes(client, "tombstone", table), *probes.reads(client, "tombstone", table)]
    yield from (each for each in tried if "PutItem" in each.found or "BatchGetItem" in each.found)


def _readers(patient: Patient, source: dict[str, Any]) -> Finding:
    if not source.get("LatestStreamArn"):
        return unknown("readers", "the source has no stream", "enable it first")
    return stream_readers.examine(patient.source.client("lambda"), source, source["LatestStreamArn"], patient.function)


def _opposite(patient: Patient, source: dict[str, Any], replica: dict[str, Any]) -> Finding:
    """Mappings of any of the replica's streams: an earlier stream is read for 24 hours more."""
    client, streams = patient.replica.client("lambda"), f"{replica['TableArn']}/stream/"
    try:
        pages = client.get_paginator("list_event_source_mappings").paginate()
        mappings = [each for page in pages for each in page["EventSourceMappings"]]
    except AwsError as error:
        fix = "allow lambda:ListEventSourceMappings to these credentials, in the replica's region too"
        return unknown(
            "other direction", f"the replica's event source mappings cannot be listed: {code_of(error)}", fix
        )
    own = [each for each in mappings if str(each.get("EventSourceArn", "")).startswith(streams)]
    found = [checks.Reader(each, _variables(client, each["FunctionArn"])) for each in own]
    return checks.opposite(source, replica, found, patient.shared)


def _variables(client: Any, function: str) -> Mapping[str, str] | None:
    try:
        answer = client.get_function_configuration(FunctionName=function)
    except AwsError:
        return None
    found: Mapping[str, str] = (answer.get("Environment") or {}).get("Variables") or {}
    return found


def _sampled(check: str, client: Any, table: dict[str, Any], judged: Callable[[Any], Finding]) -> Finding:
    try:
        return judged(client.scan(TableName=table["TableName"], Limit=SAMPLE)["Items"])
    except AwsError as error:
        return unknown(check, f"table {table['TableName']}: Scan: {code_of(error)}", "allow dynamodb:Scan on it")


def _date(client: Any, table: dict[str, Any]) -> datetime | None:
    """Of an answer just given. https://datatracker.ietf.org/doc/html/rfc9110#section-6.6.1"""
    with suppress(*AwsError, ValueError, KeyError, TypeError):
        answer = client.describe_table(TableName=table["TableName"])
        date = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        return date if date.tzinfo else date.replace(tzinfo=UTC)
    return None


def _known() -> list[str]:
    session = boto3.Session()
    partitions = session.get_available_partitions()
    return [region for each in partitions for region in session.get_available_regions("dynamodb", each)]
