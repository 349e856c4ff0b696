"""Examines an index and the access to it, before and while the function is attached. Changes nothing."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from distributary.errors import ConfigError, Unavailable
from distributary.index.declarations import Index, of_generation
from distributary.index.described import history
from distributary.index.document import DELETED_AT
from distributary.index.opensearch import bindings
from distributary.index.opensearch.bulk_errors import Refused, of_item
from distributary.index.opensearch.security import NEEDS, Needs, Roles, denied, function_needs
from distributary.index.validation import check, whole
from distributary.stream.described import changes, written_in
from distributary.verify.finding import Finding, Level, fault, ok, unknown

_API = "/_plugins/_security/api/"
_DECLARATIONS = "declarations"
_SECONDS = 10.0
_NEVER = {"if_seq_no": 2**62, "if_primary_term": 1}
"""No document has this sequence number, so the write fails: who may not write is refused before."""


def examine(
    client: Any, declared: Sequence[Index], generation: int, role: str = "", who: str = "function"
) -> Iterator[Finding]:
    """Every finding: the indexes of the generation, what these credentials may do there, and, if `role` is given, what
    the domain's roles allow to that ARN as `who` (a key of NEEDS) needs it. Raises ConfigError."""
    check(declared)
    indexes = whole(of_generation(declared, generation))
    if not indexes:
        raise ConfigError(f"no index is declared for generation {generation}")
    for index in indexes:
        found = _readable(client, index.physical(generation))
        yield found
        if found.level is Level.OK:
            yield _written_under(client, [each for each in declared if each.name == index.name], generation)
        yield _writable(client, index.write_alias(generation))
    if role:
        needs = function_needs(indexes) if who == "function" else NEEDS[who]
        yield from _mapped(client, role, needs, [index.physical(generation) for index in indexes])


def examine_declarations(told: Mapping[str, Any], place: str) -> Iterator[Finding]:
    """Whether all documents are as the function's indexes are declared, by what the function itself knows. `told`: what
    it answers to `declarations`; `place`: the option that names its stack or table in a command."""
    found = changes(written_in(told), told["declared"])
    for name, fields in found.changed.items():
        was = f"documents of index '{name}' were written under another declaration ({', '.join(fields)})"
        yield fault(_DECLARATIONS, was, f"distributary rebuild index --view {name} {place}")
    if not found.changed:
        yield ok(
            _DECLARATIONS, f"the documents of all {len(told['declared'])} indexes were written as they are declared"
        )


def _readable(client: Any, name: str) -> Finding:
    try:
        found = bindings.read(client, [name])[name]
    except ConfigError as error:
        return fault("index", str(error), "deploy the release that wrote it")
    except Unavailable as error:
        missing = denied(error.detail)
        if missing:
            return fault("permission", f"these credentials lack {missing}", _fix(NEEDS["function"], name))
        return fault("index", str(error), "see the message")
    if not found.format:
        return fault("index", f"'{name}' has no document '{bindings.ID}'", "run `distributary index apply`")
    stream = f"belongs to stream {found.stream}" if found.stream else "belongs to no stream yet"
    return ok("index", f"'{name}' has format {found.format} and {stream}; these credentials may read it")


def _written_under(client: Any, declared: Sequence[Index], generation: int) -> Finding:
    found = history(client, declared, generation)
    ((name, place),) = found.indexes.items()
    if fields := changes(found.written(), {name: place.declared}).changed.get(name):
        return fault(
            _DECLARATIONS,
            f"'{place.physical}' holds documents that were written under other declarations: {', '.join(fields)}",
            f"deploy these declarations, then run `distributary rebuild index --view {name}`",
        )
    return ok(_DECLARATIONS, f"the documents of '{place.physical}' were written under these declarations")


def _writable(client: Any, alias: str) -> Finding:
    header = {"index": {"_index": alias, "_id": "%doctor", "routing": "%doctor", "require_alias": True, **_NEVER}}
    body = orjson.dumps(header) + b"\n" + orjson.dumps({DELETED_AT: 0}) + b"\n"
    try:
        (item,) = client.bulk(body=body, request_timeout=_SECONDS)["items"]
    except Refused as error:
        return _refused(alias, error.detail, error.end().outcome.cause)
    (answer,) = item.values()
    if answer["status"] == 409:
        return ok("permission", f"these credentials may write to '{alias}'")
    if answer["status"] in (200, 201):
        return unknown("permission", "a write on a condition that nothing can meet took effect", "ask another engine")
    return _refused(alias, str(answer.get("error")), of_item(answer).outcome.cause)


def _refused(alias: str, detail: str, cause: str) -> Finding:
    missing = denied(detail)
    if missing:
        name = alias.rpartition("-write")[0]
        return fault("permission", f"these credentials lack {missing}", _fix(NEEDS["function"], name))
    return fault("permission", f"'{alias}': {cause}", "see the message")


def _mapped(client: Any, arn: str, needs: Needs, indexes: Sequence[str]) -> Iterator[Finding]:
    from opensearchpy.exceptions import OpenSearchException, TransportError

    try:
        answers = [
            client.transport.perform_request("GET", f"{_API}{each}")
            for each in ("rolesmapping", "roles", "actiongroups")
        ]
    except TransportError as error:
        yield unknown(
            "role mapping",
            f"the domain's roles cannot be read: OpenSearch answered {error.status_code}",
            "use the credentials of a user who may read them (the master user); an engine without fine-grained access "
            "control has no roles",
        )
        return
    except OpenSearchException as error:
        yield unknown("role mapping", f"the domain's roles cannot be read: {error}", "correct the endpoint")
        return
    roles = Roles(*answers)
    names = roles.mapped(arn)
    if not names:
        yield fault("role mapping", f"{arn} is mapped to no role of the domain", _fix(needs, *indexes))
        return
    missing = list(roles.missing(names, needs, indexes))
    yield from (fault("role mapping", f"{arn} lacks {each}", _fix(needs, *indexes)) for each in missing)
    if not missing:
        yield ok("role mapping", f"{arn} has all that it needs, by {', '.join(names)}")


def _fix(needs: Needs, *indexes: str) -> str:
    patterns = ", ".join(dict.fromkeys(name.rpartition("-g")[0] + "-g*" for name in indexes))
    return (
        f"give a role of the domain the cluster permissions {', '.join(needs.cluster)}, and on the index pattern "
        f"{patterns} the index permissions {', '.join(needs.index)}; map it to the IAM role's ARN as a backend role"
    )
