"""What fine-grained access control has to allow: to the function, to purge, and to the commands on an index."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distributary.index.declarations import Index

DYNAMIC = ("indices:admin/mapping/put", "indices:admin/mapping/auto_put")
"""What the function needs beside its own if a field is dynamic: a document then changes the mapping."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Permissions, as they are written into a role of the domain: on the cluster, and on each index."""

    cluster: tuple[str, ...]
    index: tuple[str, ...]


_WRITES = ("indices:data/write/bulk*", "indices:data/write/index")
_READS = ("indices:data/read/mget*", "indices:data/read/get")

NEEDS = {
    "function": Needs(("indices:data/write/bulk", "indices:data/read/mget"), (*_WRITES, *_READS)),
    "rebuild": Needs(
        ("indices:data/write/bulk", "indices:data/read/mget", "indices:data/read/scroll*"),
        (*_WRITES, *_READS, "indices:data/read/search*", "indices:admin/refresh*"),
    ),
    "purge": Needs(
        ("indices:data/write/bulk",),
        (
            "indices:data/read/search",
            "indices:admin/refresh*",
            "indices:data/write/bulk*",
            "indices:data/write/delete",
        ),
    ),
    "apply": Needs(
        ("indices:data/write/bulk", "indices:data/read/mget"),
        (
            "indices:admin/create",
            "indices:admin/get",
            "indices:admin/aliases*",
            "indices:admin/mappings/get",
            "indices:admin/mapping/put",
            "indices:admin/settings/update",
            *_WRITES,
            "indices:data/write/delete",
            *_READS,
        ),
    ),
    "verify": Needs(
        ("indices:data/read/mget", "indices:data/read/scroll*"),
        (
            "indices:admin/mappings/get",
            "indices:admin/aliases/get",
            "indices:admin/refresh*",
            "indices:data/read/search*",
            *_READS,
        ),
    ),
}
"""By who needs it. https://docs.opensearch.org/latest/security/access-control/permissions/"""

_TRIED = {
    "indices:data/write/bulk*": "indices:data/write/bulk[s]",
    "indices:data/read/mget*": "indices:data/read/mget[shard]",
}
"""The action that represents a pattern of ours; for any other pattern, the part before its asterisk."""


@dataclass(frozen=True, slots=True)
class Roles:
    """The domain's answers: role mappings, roles and action groups, each by name.
    https://docs.opensearch.org/latest/security/api/role-mappings/get-role-mappings/"""

    mappings: Mapping[str, Any]
    roles: Mapping[str, Any]
    groups: Mapping[str, Any]

    def mapped(self, arn: str) -> list[str]:
        """The roles that the ARN is mapped to, as a backend role or as a user."""
        return [
            name
            for name, each in self.mappings.items()
            if any(_matches(arn, known) for known in (*each.get("backend_roles", ()), *each.get("users", ())))
        ]

    def missing(self, roles: Sequence[str], needs: Needs, indexes: Sequence[str]) -> Iterator[str]:
        """What these roles together do not allow, in words."""
        given = [self.roles[name] for name in roles if name in self.roles]
        cluster = [action for role in given for action in role.get("cluster_permissions", ())]
        yield from (f"{each} on the cluster" for each in needs.cluster if not self._allowed(each, cluster))
        for index in indexes:
            here = [
                action
                for role in given
                for part in role.get("index_permissions", ())
                if any(_matches(index, pattern) for pattern in part.get("index_patterns", ()))
                for action in part.get("allowed_actions", ())
            ]
            yield from (f"{each} on {index}" for each in needs.index if not self._allowed(each, here))

    def _allowed(self, needed: str, granted: Sequence[str]) -> bool:
        action = _TRIED.get(needed, needed.rstrip("*"))
        return any(_matches(action, pattern) for pattern in self._expanded(granted, frozenset()))

    def _expanded(self, granted: Sequence[str], seen: frozenset[str]) -> Iterator[str]:
        """Action groups may hold action groups."""
        for each in granted:
            if each in self.groups and each not in seen:
                yield from self._expanded(self.groups[each].get("allowed_actions", ()), seen | {each})
            else:
                yield each


def function_needs(indexes: Sequence[Index]) -> Needs:
    """Those of the function that writes these indexes."""
    needs = NEEDS["function"]
    dynamic = any(_is_dynamic(mapping) for index in indexes for mapping in index.mappings().values())
    return Needs(needs.cluster, (*needs.index, *DYNAMIC)) if dynamic else needs


def denied(reason: str) -> str:
    """The permission that a domain says is missing, and to whom; empty if it says something else."""
    found = re.search(r"no permissions for \[(.*)\] and User \[name=([^,\]]+)", reason)
    return f"{found[1]} for {found[2]}" if found else ""


def _is_dynamic(mapping: Mapping[str, Any]) -> bool:
    inner = mapping.get("properties", {})
    return mapping.get("dynamic") in (True, "true") or any(_is_dynamic(each) for each in inner.values())


def _matches(text: str, pattern: str) -> bool:
    """As the security plugin reads a pattern: with `*` and `?`, or between slashes a regular expression."""
    if len(pattern) > 1 and pattern[0] == pattern[-1] == "/":
        return re.fullmatch(pattern[1:-1], text) is not None
    return re.fullmatch(re.escape(pattern).replace(r"\*", ".*").replace(r"\?", "."), text) is not None
