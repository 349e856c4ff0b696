"""What the answers of the services say: pure decisions."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from distributary.replicate.verify.tables import key_of, shown
from distributary.stream.change import REPLICA_VERSION
from distributary.stream.version import version_in
from distributary.verify.finding import Finding, fault, note, ok, unknown
from distributary.verify.stream_readers import function_name, is_live, replicas

Table = Mapping[str, Any]
"""DescribeTable's `Table`."""

SKEW_SECONDS = 60.0
"""Signatures fail at five minutes (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html)."""

_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-[0-9]+")


def stream(table: Table) -> Finding:
    """It is on, with both images."""
    found = table.get("StreamSpecification") or {}
    place = f"--region {_region(table)} --table-name {table['TableName']}"
    update = f"aws dynamodb update-table {place} --stream-specification"
    enable = f"{update} StreamEnabled=true,StreamViewType=NEW_AND_OLD_IMAGES"
    if not found.get("StreamEnabled"):
        return fault("stream", "the source has no stream", enable)
    view = found.get("StreamViewType")
    if view != "NEW_AND_OLD_IMAGES":
        return fault("stream", f"its view type is {view}", f"{update} StreamEnabled=false, then: {enable}")
    return ok("stream", "on, with NEW_AND_OLD_IMAGES")


def keys(source: Table, replica: Table) -> Finding:
    """Names, roles and types are the same."""
    one, other = key_of(source), key_of(replica)
    if one != other:
        found = f"the source's key is {shown(one)}, the replica's {shown(other)}"
        return fault("keys", found, "make the replica with the source's key, names and types alike")
    return ok("keys", f"{shown(one)} on both sides")


def not_global(source: Table, replica: Table) -> Finding:
    """DynamoDB does not itself replicate one to the other."""
    if source["TableArn"] == replica["TableArn"]:
        return fault("global table", "source and replica are one table", "name another table or region")
    region = _region(replica)
    own = {each.get("RegionName") for each in replicas(source)}
    if region in own and source["TableName"] == replica["TableName"]:
        fix = "choose another table: what DynamoDB replicates already, replicate would write twice"
        return fault("global table", f"the replica is the source's own global table replica in {region}", fix)
    if replicas(replica):
        fix = "its other regions receive every row that replicate writes: make sure that this is meant"
        return note("global table", "the replica is itself a global table", fix)
    return ok("global table", "the two tables have nothing to do with each other")


@dataclass(frozen=True, slots=True)
class Reader:
    """An event source mapping of the replica's own stream. `variables` is its function's environment, None if that
    could not be read."""

    mapping: Mapping[str, Any]
    variables: Mapping[str, str] | None

    @property
    def function(self) -> str:
        """The name of its function."""
        return function_name(str(self.mapping["FunctionArn"]))

    @property
    def disabled(self) -> bool:
        """Whether it delivers nothing any more."""
        return not is_live(self.mapping)

    def carries_to(self, table: Table) -> bool:
        """Whether its function is a mirror into this table."""
        variables = self.variables or {}
        name = variables.get("REPLICA_TABLE", "").rpartition("/")[2]
        region = _region(table)
        return name == table["TableName"] and region in variables.get("REPLICA_REGION", "").split(",")


def opposite(source: Table, replica: Table, readers: Sequence[Reader], shared: bool) -> Finding:
    """No mirror carries the replica's changes back to the source, as an old one does after a failover. `shared`: the
    declaration takes some items only, so that another mirror may have the others."""
    check, region = "other direction", _region(replica)
    live = [each for each in readers if not each.disabled]
    for each in live:
        if not each.carries_to(source):
            continue
        found = f"{each.function} in {region} carries changes of {replica['TableName']} to {source['TableName']}"
        stop = (
            f"aws lambda update-event-source-mapping --region {region} --uuid {each.mapping.get('UUID')} --no-enabled"
        )
        if shared:
            return note(check, found, f"make sure that both declare different items; if it is an old mapping: {stop}")
        return fault(check, f"{found}: each direction overwrites what the application writes on its other side", stop)
    if unread := sorted(each.function for each in live if each.variables is None):
        fix = "allow lambda:GetFunctionConfiguration to these credentials, or make sure that none is a mirror"
        return unknown(check, f"where {', '.join(unread)} in {region} writes cannot be read", fix)
    return ok(check, f"no enabled mapping in {region} carries changes of {replica['TableName']} back to the source")


def regions(source: Table, replica: Table, asked: tuple[str, str | None], known: Sequence[str]) -> Finding:
    """What the ARNs say is what was asked for, and what AWS calls a region."""
    found = [_region(each) for each in (source, replica)]
    for what, region, wanted in zip(("source", "replica"), found, asked, strict=True):
        if not _REGION.fullmatch(region):
            fix = "nothing, if this is an emulator; the function takes names such as eu-west-1 only"
            return unknown("regions", f"the {what} says that its region is '{region}'", fix)
        if wanted and region != wanted:
            fix = "correct the region, or the endpoint that answers for another one"
            return fault("regions", f"the {what} is in {region}, not in {wanted}", fix)
        if region not in known:
            fix = "check the spelling; a newer region needs a newer boto3"
            return note("regions", f"boto3 knows of no region {region}", fix)
    if found[0] == found[1]:
        return note(
            "regions", f"both tables are in {found[0]}", "give the replica another region, if a region may fail"
        )
    return ok("regions", f"{found[0]} to {found[1]}")


def clock(dates: Mapping[str, datetime | None], now: datetime) -> Finding:
    """This machine's, against what the services' answers are dated. Dates are whole seconds."""
    if missing := [name for name, date in dates.items() if date is None]:
        return unknown("clock", f"{', '.join(missing)} did not date its answer", "ask an endpoint that does")
    skews = {name: (now - date).total_seconds() for name, date in dates.items() if date is not None}
    worst = max(skews, key=lambda name: abs(skews[name]))
    found = f"this machine is {abs(skews[worst]):.0f} s {'ahead of' if skews[worst] > 0 else 'behind'} {worst}"
    if abs(skews[worst]) > SKEW_SECONDS:
        return fault(
            "clock", found, "set this machine's clock (NTP): --since and alarms lean on it, and AWS refuses more"
        )
    return ok("clock", found)


def unused(items: Sequence[Mapping[str, Any]], table: Table, attribute: str = REPLICA_VERSION) -> Finding:
    """The application has no attribute of the version's name; seen in a sample, and in the indexes' keys."""
    declared = {each["AttributeName"] for each in table["AttributeDefinitions"]}
    holding = sum(attribute in item for item in items)
    if holding or attribute in declared:
        where = f"{holding} of {len(items)} sampled items" if holding else "an index"
        fix = (
            "replicate would overwrite it: rename the application's attribute; if Distributary wrote it, the source "
            "is a mirror itself, and two mirrors must not face each other"
        )
        return fault("version attribute", f"{where} of the source hold {attribute}", fix)
    return ok("version attribute", f"none of {len(items)} sampled items of the source holds {attribute}")


def marked(table: Table, attribute: str, items: Sequence[Mapping[str, Any]]) -> Finding:
    """In a table of several regions the attribute is Distributary's: a stamp, a mark, or not there; in a sample."""
    declared = {each["AttributeName"] for each in table["AttributeDefinitions"]}
    strange = sum(attribute in item and not _ours(item[attribute]) for item in items)
    if strange or attribute in declared:
        where = f"{strange} of {len(items)} sampled items" if strange else "an index"
        found = f"{where} hold a {attribute} that is not Distributary's"
        return fault("version attribute", found, "choose another VersionAttribute, the same in every region")
    return ok("version attribute", f"none of {len(items)} sampled items holds a {attribute} of the application's")


def expiring(table: str, region: str, found: Mapping[str, Any]) -> Finding:
    """The table of deletions has TTL, or it grows for ever."""
    if found.get("TimeToLiveStatus") in ("ENABLED", "ENABLING") and found.get("AttributeName") == "expires_at":
        return ok("tombstones", f"{table} deletes them by TTL")
    fix = f"aws dynamodb update-time-to-live --region {region} --table-name {table} --time-to-live-specification"
    return fault("tombstones", f"{table} has no TTL on expires_at", f"{fix} Enabled=true,AttributeName=expires_at")


def written_by_us(rows: Sequence[Mapping[str, Any]], attribute: str = REPLICA_VERSION) -> Finding:
    """Every row of the replica carries a version; in a sample."""
    strange = sum(attribute in row and not _versioned(row, attribute) for row in rows)
    bare = sum(attribute not in row for row in rows)
    verify = "distributary verify replicate says whether they agree with the source"
    if strange:
        found = f"{strange} of {len(rows)} sampled rows hold a {attribute} that is no version"
        return fault("replica's rows", found, "no change would win over these: verify --repair gives them one")
    if bare:
        return note("replica's rows", f"{bare} of {len(rows)} sampled rows were not written by replicate", verify)
    return ok("replica's rows", f"all of {len(rows)} sampled rows were written by replicate")


def _region(table: Table) -> str:
    return str(table["TableArn"]).split(":")[3]


def _versioned(row: Mapping[str, Any], attribute: str) -> bool:
    return version_in(row[attribute].get("S")) is not None


def _ours(typed: Any) -> bool:
    """A stamp (a map) or a mark (text), see `states` and `merging.marks`."""
    return {"time", "region", "digest"} <= set(typed.get("M", ())) or typed.get("S", "").startswith(("live.", "gone."))
