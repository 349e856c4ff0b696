"""What functions made: rows, documents and messages, read from where they are kept."""

import base64
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

from boto3.dynamodb.types import TypeDeserializer

from local import outbox
from local.aws import Aws, said_in_one_line
from local.errors import LocalError

MOST = 1000
"""Things in one place that are looked at. Where there are more, none is listed."""

LISTED = 10
"""Lines for one place and one look, if only keys are listed."""

_HIDDEN = "_distributary"
_BESIDE = ("%m", "%j")
"""How the keys of the rows begin that `derive` counts members in, and that joins keep beside their rows."""


@dataclass(frozen=True, slots=True)
class Thing:
    """A row, a document or a message. `state` changes whenever it is written; `content` is for the user's eyes."""

    state: str
    content: str


Things = Mapping[str, Thing]
"""By a name that begins with what it is, such as `row USER#1 / PROFILE`."""


class Made:
    """What a function made since the last look. Everything that is there at the beginning is old."""

    def __init__(self, name: str, environment: Mapping[str, str], aws: Aws, mail: Path, contents: bool = False) -> None:
        """`environment`: the function's. `aws`: where it keeps things. `contents`: print them as well."""
        self._name, self._contents = name, contents
        self._places = list(_places(name, environment, aws, mail))
        self._known = [_read(place) for place in self._places]

    def look(self) -> list[str]:
        """A line for each thing that was written or removed since the last look."""
        lines: list[str] = []
        for at, place in enumerate(self._places):
            try:
                found = _read(place)
            except LocalError as error:
                lines.append(f"{self._name}: {error}")
                continue
            before, self._known[at] = self._known[at], found
            lines += [f"{self._name}: {line}" for line in self._lines(before, found)]
        return lines

    def _lines(self, before: Things | None, found: Things | None) -> list[str]:
        if found is None:
            return [] if before is None else [f"more than {MOST} things: no more of them are listed"]
        old = before or {}
        lines = [self._line(name, thing) for name, thing in found.items() if old.get(name) != thing]
        lines += [f"{name} removed" for name in old if name not in found]
        if self._contents or len(lines) <= LISTED:
            return lines
        return [*lines[:LISTED], f"and {len(lines) - LISTED} more"]

    def _line(self, name: str, thing: Thing) -> str:
        return f"{name}: {thing.content}" if self._contents or name.startswith("message") else name


Place = Callable[[], Things]


def _read(place: Place) -> Things | None:
    found = place()
    return found if len(found) <= MOST else None


def _places(name: str, environment: Mapping[str, str], aws: Aws, mail: Path) -> Iterable[Place]:
    if name == "derive":
        yield lambda: _rows(aws.client("dynamodb"), environment["DERIVED_TABLE"])
    elif name == "replicate":
        regions = environment["REPLICA_REGION"].split(",")
        for region in regions:
            client, where = aws.client("dynamodb", region), f" in {region}" if len(regions) > 1 else ""
            yield partial(_rows, client, environment["REPLICA_TABLE"], where)
    elif name == "welcome":
        yield lambda: _messages(aws, environment["CLAIM_TABLE"], mail)
    elif name == "index" and environment["OPENSEARCH_SERVICE"] == "none":
        yield lambda: _documents(environment["OPENSEARCH_ENDPOINT"])


def _rows(client: Any, table: str, where: str = "") -> Things:
    """By key. `where`: what is said behind it."""
    with said_in_one_line(f"the table {table}"):
        try:
            schema = client.describe_table(TableName=table)["Table"]["KeySchema"]
        except client.exceptions.ResourceNotFoundException:
            return {}
        keys, items = sorted(schema, key=lambda each: each["KeyType"]), _scan(client, table)
    names = [each["AttributeName"] for each in keys]
    rows = [(" / ".join(_key_text(item[name]) for name in names), item) for item in items]
    return {f"row {key}{where}": _row(item, names) for key, item in sorted(rows) if not key.startswith(_BESIDE)}


def _key_text(typed: Mapping[str, Any]) -> str:
    """A binary in base64, as `distributary event` takes one."""
    (value,) = typed.values()
    return base64.b64encode(value).decode() if isinstance(value, bytes) else str(value)


def _scan(client: Any, table: str) -> list[dict[str, Any]]:
    """One row more than MOST at most."""
    request: dict[str, Any] = {"TableName": table, "ConsistentRead": True, "Limit": MOST + 1}
    found: list[dict[str, Any]] = []
    while len(found) <= MOST:
        page = client.scan(**request)
        found += page["Items"]
        if "LastEvaluatedKey" not in page:
            break
        request["ExclusiveStartKey"] = page["LastEvaluatedKey"]
    return found


def _row(item: Mapping[str, Any], keys: Iterable[str]) -> Thing:
    read = TypeDeserializer().deserialize
    shown = {name: read(value) for name, value in item.items() if name not in keys and not name.startswith(_HIDDEN)}
    return Thing(_text(item), _text(shown))


def _messages(aws: Aws, table: str, mail: Path) -> Things:
    with said_in_one_line(f"the table {table}"):
        claims = [each for each in _scan(aws.client("dynamodb"), table) if "state" in each]
    return {f"message {claim['id']['S']}": _message(claim, mail) for claim in claims}


def _message(claim: Mapping[str, Any], mail: Path) -> Thing:
    state, file = claim["state"]["S"], outbox.find(mail, claim.get("message_id", {"S": ""})["S"])
    return Thing(_text(claim), f"{state}, {file}" if file else state)


def _documents(endpoint: str) -> Things:
    """Of every read alias: markers of deleted documents are not among them."""
    try:
        aliases = {
            name
            for index in _get(f"{endpoint}/_alias").values()
            for name, given in index["aliases"].items()
            if "filter" in given
        }
        hits = [hit for name in sorted(aliases) for hit in _hits(endpoint, name)]
    except (OSError, ValueError, LookupError) as error:
        raise LocalError(f"the documents at {endpoint} cannot be read: {error}") from None
    return {f"document {name}/{hit['_id']}": Thing(_text(hit), _text(hit["_source"])) for name, hit in hits}


def _hits(endpoint: str, alias: str) -> list[tuple[str, dict[str, Any]]]:
    found = _get(f"{endpoint}/{alias}/_search?version=true&size={MOST + 1}")
    return [(alias, hit) for hit in found["hits"]["hits"]]


def _get(url: str) -> Any:
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5) as answer:
        return json.load(answer)


def _text(value: Any) -> str:
    return json.dumps(value, default=_plain, sort_keys=True, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """What JSON has no form for: a number keeps all its digits, as text if it must."""
    if isinstance(value, Decimal):
        whole, near = int(value), float(value)
        return whole if whole == value else near if Decimal(repr(near)) == value else str(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    return bytes(value).hex()
