"""`distributary event`: a stream event made from an item of a real table."""

import base64
import datetime
import json
import time
import uuid
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

import typer

from cli.errors import UsageFault
from cli.options import Source, SourceRegion, checked_endpoint

TTL = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
_STANDARD = str.maketrans("-_", "+/")
Kind = Literal["insert", "modify", "remove", "expire"]


def event(
    table: Annotated[str, typer.Argument(metavar="TABLE", help="The source table.")],
    key: Annotated[
        list[str],
        typer.Option(metavar="NAME=VALUE", help="A key attribute (a binary in base64); twice with a sort key."),
    ],
    kind: Annotated[Kind, typer.Option(help="What happened to the item; expire is a deletion by TTL.")] = "insert",
    changed: Annotated[
        list[str],
        typer.Option("--set", metavar="NAME=VALUE", help="modify: an attribute of the new image; may be repeated."),
    ] = [],
    endpoint_url: Source = None,
    region: SourceRegion = None,
) -> int:
    """Print a stream event with one record, made from an item, for `invoke` and `sam local invoke`.

    insert: the item is the new image. modify: the item is the old image, and the new image has what --set says.
    remove and expire: the item is the old image.
    """
    if (kind == "modify") != bool(changed):
        raise UsageFault("--kind modify and --set NAME=VALUE belong together: --set says what the change makes new")
    from local.aws import Aws, said_in_one_line

    source = Aws.of_user(checked_endpoint(endpoint_url), region)
    dynamodb = source.client("dynamodb")
    with said_in_one_line(f"the table {table}"):
        description = dynamodb.describe_table(TableName=table)["Table"]
        keys = typed_keys(description, key)
        item = dynamodb.get_item(TableName=table, Key=keys, ConsistentRead=True).get("Item")
    if item is None:
        raise UsageFault(f"{table} has no item with the key {', '.join(key)}: correct --key")
    arn = description.get("LatestStreamArn") or f"{description['TableArn']}/stream/{_now():%Y-%m-%dT%H:%M:%S.000}"
    made = record(item, list(keys), kind, arn, source.region, new_values(item, keys, changed))
    print(json.dumps({"Records": [made]}, indent=2, ensure_ascii=False))
    return 0


def typed_keys(description: Mapping[str, Any], given: list[str]) -> dict[str, Any]:
    """The key in DynamoDB's form. Raises UsageFault."""
    types = {each["AttributeName"]: each["AttributeType"] for each in description["AttributeDefinitions"]}
    names = [each["AttributeName"] for each in sorted(description["KeySchema"], key=lambda each: each["KeyType"])]
    pairs = dict(each.partition("=")[::2] for each in given)
    if set(pairs) != set(names) or not all("=" in each for each in given):
        raise UsageFault("--key: give " + " ".join(f"--key {name}=VALUE" for name in names))
    read = {"B": _bytes, "N": _number}
    return {name: {types[name]: read.get(types[name], _text)(name, pairs[name])} for name in names}


def _text(_name: str, text: str) -> str:
    return text


def _number(name: str, text: str) -> str:
    try:
        if Decimal(text).is_finite():
            return text
    except InvalidOperation:
        pass
    raise UsageFault(f"--key {name}={text}: {name} is a number: give one")


def _bytes(name: str, text: str) -> bytes:
    """Of base64 in either alphabet, padded or not: as DynamoDB's JSON has it, or as a key template writes it."""
    digits = text.translate(_STANDARD).rstrip("=")
    try:
        return base64.b64decode(digits + "=" * (-len(digits) % 4), validate=True)
    except ValueError:
        raise UsageFault(f"--key {name}={text}: {name} is binary: give it in base64") from None


def new_values(item: Mapping[str, Any], keys: Mapping[str, Any], given: list[str]) -> dict[str, Any]:
    """What --set gives, in DynamoDB's form: a number where the item has one, else a string. Raises UsageFault."""
    if wrong := next((each for each in given if "=" not in each), None):
        raise UsageFault(f"--set {wrong}: write it as NAME=VALUE")
    pairs = dict(each.split("=", 1) for each in given)
    if held := keys.keys() & pairs.keys():
        raise UsageFault(f"--set {min(held)}: a change never changes the key: leave it out")
    return {name: _typed(name, value, item.get(name, {"S": ""})) for name, value in pairs.items()}


def _typed(name: str, value: str, before: Mapping[str, Any]) -> dict[str, Any]:
    (kind,) = before
    if kind == "N":
        try:
            Decimal(value)
        except InvalidOperation:
            raise UsageFault(f"--set {name}={value}: the item has a number there; give a number") from None
    elif kind == "BOOL":
        if value not in ("true", "false"):
            raise UsageFault(f"--set {name}={value}: the item has a boolean there; give true or false")
        return {"BOOL": value == "true"}
    elif kind not in ("S", "NULL"):
        raise UsageFault(f"--set {name}: it has the type {kind}; only strings, numbers and booleans can be set")
    return {"N" if kind == "N" else "S": value}


def record(
    item: Mapping[str, Any], keys: list[str], kind: Kind, arn: str, region: str, changed: Mapping[str, Any] = {}
) -> dict[str, Any]:
    """One record in Lambda's form: https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html"""
    from distributary.stream.codec import typed_json

    image = typed_json(item)
    images = {"NewImage": {**image, **changed}} if kind in ("insert", "modify") else {}
    images |= {"OldImage": image} if kind != "insert" else {}
    return {
        "eventID": uuid.uuid4().hex,
        "eventName": {"insert": "INSERT", "modify": "MODIFY"}.get(kind, "REMOVE"),
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": region,
        "dynamodb": {
            "ApproximateCreationDateTime": float(int(time.time())),
            "Keys": {name: image[name] for name in keys},
            **images,
            "SequenceNumber": str(time.time_ns() * 1000),
            "SizeBytes": len(json.dumps(images)),
            "StreamViewType": "NEW_AND_OLD_IMAGES",
        },
        "eventSourceARN": arn,
        **({"userIdentity": TTL} if kind == "expire" else {}),
    }


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
