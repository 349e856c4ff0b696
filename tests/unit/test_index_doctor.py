"""`index doctor` says which permission is missing, and how to map it; and it changes nothing."""

import copy
import re

import pytest
from opensearchpy.exceptions import AuthorizationException, ConnectionError

from distributary.errors import ConfigError
from distributary.index import Entity, Field, Index
from distributary.index.doctor import examine
from distributary.index.opensearch.bindings import IndexBindings
from distributary.index.opensearch.bulk_errors import Refused
from distributary.index.opensearch.schema import apply
from distributary.index.opensearch.security import DYNAMIC, NEEDS, Roles, denied
from distributary.verify.finding import Level, status
from tests.docs.pages import DOCS, section
from tests.fakes.opensearch import OpenSearch
from tests.replaced import replace

USER = Entity(name="user", keys=("user_id",), attributes=("name", "specs"))
INDEX = Index(name="users", of=USER, id="{user_id}", fields={"name": {"type": "keyword"}})
STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/users/stream/2026-01-01T00:00:00.000"
ARN = "arn:aws:iam::123456789012:role/shop-IndexRole"
REASON = f"no permissions for [indices:data/write/bulk[s]] and User [name={ARN}, backend_roles=[{ARN}], tenant=null]"


class Domain(OpenSearch):
    """With fine-grained access control: `roles` are those of its API, by name."""

    def __init__(self, needs=NEEDS["function"], patterns=("users-g*",), mapped=(ARN,)):
        super().__init__()
        self.transport = self
        index = [{"index_patterns": list(patterns), "allowed_actions": list(needs.index)}]
        self.answers = {
            "rolesmapping": {"indexer": {"backend_roles": list(mapped), "users": [], "hosts": []}},
            "roles": {"indexer": {"cluster_permissions": list(needs.cluster), "index_permissions": index}},
            "actiongroups": {
                "crud": {"allowed_actions": ["read", "write"]},
                "read": {"allowed_actions": ["indices:data/read*"]},
            },
        }

    def perform_request(self, method, path):
        assert method == "GET"
        return copy.deepcopy(self.answers[path.removeprefix("/_plugins/_security/api/")])


@pytest.fixture
def domain():
    found = Domain()
    apply(found, INDEX, 0)
    return found


def faults(client, index=INDEX, **more):
    return [each for each in examine(client, [index], 0, **more) if each.level is not Level.OK]


def test_all_is_well_and_nothing_was_changed(domain):
    IndexBindings(domain, [("users-g0", INDEX.write_alias(0))], 0).bind(STREAM, 0)
    before = copy.deepcopy(domain.state)
    found = list(examine(domain, [INDEX], 0, ARN))
    assert status(found) == 0, found
    assert [each.check for each in found] == ["index", "declarations", "permission", "role mapping"]
    assert STREAM in found[0].found
    assert domain.state == before


def test_a_missing_index_or_alias_says_what_to_run():
    found = faults(Domain())
    assert [each.level for each in found] == [Level.FAULT, Level.FAULT]
    assert all("run `distributary index apply`" in each.found for each in found)


@pytest.mark.parametrize("call", ["get_many", "bulk"])
def test_a_permission_that_the_domain_names_is_named_with_how_to_map_it(domain, monkeypatch, call):
    def denied(**_):
        raise Refused(403, "security_exception", REASON, REASON)

    monkeypatch.setattr(domain, call, denied)
    (found,) = faults(domain)
    assert found.found == f"these credentials lack indices:data/write/bulk[s] for {ARN}"
    assert "on the index pattern users-g* the index permissions indices:data/write/bulk*" in found.fix


def test_a_permission_that_is_refused_to_one_document_is_named_too(domain, monkeypatch):
    refused = {"items": [{"index": {"status": 403, "error": {"type": "security_exception", "reason": REASON}}}]}
    monkeypatch.setattr(domain, "bulk", lambda **_: refused)
    (found,) = faults(domain)
    assert f"indices:data/write/bulk[s] for {ARN}" in found.found


def test_a_role_that_is_not_mapped_is_a_fault(domain):
    (found,) = faults(domain, role=ARN.replace("shop", "other"))
    assert "is mapped to no role of the domain" in found.found
    assert "map it to the IAM role's ARN as a backend role" in found.fix


@pytest.mark.parametrize("gone", [*NEEDS["function"].cluster, *NEEDS["function"].index])
def test_each_permission_that_the_function_needs_is_missed(domain, gone):
    role = domain.answers["roles"]["indexer"]
    for actions in (role["cluster_permissions"], role["index_permissions"][0]["allowed_actions"]):
        actions[:] = [each for each in actions if each != gone]
    (found,) = faults(domain, role=ARN)
    assert gone in found.found


def test_permissions_on_another_index_do_not_count(domain):
    domain.answers["roles"]["indexer"]["index_permissions"][0]["index_patterns"] = ["orders-g*"]
    assert len(faults(domain, role=ARN)) == len(NEEDS["function"].index)


def test_a_dynamic_field_needs_to_change_the_mapping(domain):
    fields = {"specs": Field(mapping={"type": "object", "properties": {"a": {"type": "object", "dynamic": True}}})}
    found = faults(domain, Index(name="users", of=USER, id="{user_id}", fields=fields), role=ARN)
    assert [each.found.split()[2] for each in found] == list(DYNAMIC)


@pytest.mark.parametrize("who", NEEDS)
def test_what_each_user_of_the_index_needs_is_enough(who):
    domain = Domain(NEEDS[who])
    apply(domain, INDEX, 0)
    assert faults(domain, role=ARN, who=who) == []


@pytest.mark.parametrize("granted", ["*", "indices:*", "crud"])
def test_patterns_and_groups_of_groups_grant_what_they_hold(granted):
    groups = {"crud": {"allowed_actions": ["read", "crud"]}, "read": {"allowed_actions": ["indices:data/read*"]}}
    part = {"index_patterns": ["/users-g[0-9]+/"], "allowed_actions": [granted]}
    roles = Roles({}, {"r": {"cluster_permissions": ["*"], "index_permissions": [part]}}, groups)
    missing = list(roles.missing(["r"], NEEDS["function"], ["users-g0"]))
    assert missing == ([f"{each} on users-g0" for each in NEEDS["function"].index[:2]] if granted == "crud" else [])


@pytest.mark.parametrize(("known", "mapped"), [("users", True), ("hosts", False)])
def test_a_role_may_be_mapped_as_a_user_and_by_a_pattern(known, mapped):
    roles = Roles({"r": {known: ["arn:aws:iam::123456789012:role/shop-*"]}}, {}, {})
    assert bool(roles.mapped(ARN)) is mapped


@pytest.mark.parametrize("error", [AuthorizationException(403, "x", {}), ConnectionError("N/A", "no", None)])
def test_role_mappings_that_cannot_be_read_are_unknown(domain, monkeypatch, error):
    monkeypatch.setattr(domain, "perform_request", lambda *_: (_ for _ in ()).throw(error))
    (found,) = faults(domain, role=ARN)
    assert found.level is Level.UNKNOWN
    assert "cannot be read" in found.found


def test_an_index_that_is_not_declared_is_wrong_usage():
    with pytest.raises(ConfigError, match="no index is declared for generation 0"):
        list(examine(Domain(), [Index(name="users", of=USER, id="{user_id}", fields=INDEX.fields, since=1)], 0))


def test_what_a_domain_says_otherwise_is_no_missing_permission():
    assert denied("User: arn is not authorized to perform: es:ESHttpPost") == ""


def permissions(cell):
    return set(re.findall(r"`(indices:[^`]+)`", cell))


def test_the_page_lists_the_permissions_that_are_checked():
    text = section(DOCS / "functions" / "index-function.md", "### Roles in the domain")
    rows = [line.split("|") for line in text.splitlines() if line.startswith("|")][2:]
    needed = [(set(each.cluster), set(each.index)) for each in NEEDS.values()]
    needed[0] = needed[0][0], needed[0][1] | set(DYNAMIC)
    assert [(permissions(row[-3]), permissions(row[-2])) for row in rows] == needed


def test_a_role_that_is_mapped_and_no_more_there_allows_nothing(domain):
    """The domain keeps a mapping whose role was deleted."""
    domain.answers["rolesmapping"]["gone"] = {"backend_roles": [ARN]}
    assert faults(domain, role=ARN) == []
    domain.answers["roles"].clear()
    assert len(faults(domain, role=ARN)) == len(NEEDS["function"].cluster) + len(NEEDS["function"].index)


@pytest.mark.parametrize("who", NEEDS)
def test_the_very_actions_that_the_engine_asks_for_are_enough(who):
    """A role may name actions where ours is a pattern: a bulk request asks for that of each shard."""
    tried = {
        "indices:data/write/bulk*": "indices:data/write/bulk[s]",
        "indices:data/read/mget*": "indices:data/read/mget[shard]",
    }
    needs = NEEDS[who]
    exact = replace(needs, index=tuple(tried.get(each, each.rstrip("*")) for each in needs.index))
    exact = replace(exact, cluster=tuple(each.rstrip("*") for each in needs.cluster))
    roles = Domain(exact).answers
    found = Roles(*(roles[each] for each in ("rolesmapping", "roles", "actiongroups")))
    assert list(found.missing(["indexer"], needs, ["users-g0"])) == []
