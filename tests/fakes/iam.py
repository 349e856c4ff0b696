"""IAM's simulator of policies, and KMS and Kinesis as far as they tell a key and a policy of a resource."""

import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from tests.fakes.answers import refusal

Statement = Mapping[str, Any]


class Simulator:
    """Roles by their ARN, each with the statements of its own policies. `boundaries`: those of a permissions boundary.
    A resource's policy is not known to it, so across accounts it allows nothing and says what the role's own policies
    do: https://docs.aws.amazon.com/IAM/latest/APIReference/API_EvaluationResult.html"""

    def __init__(self) -> None:
        self.roles: dict[str, Sequence[Statement]] = {}
        self.boundaries: dict[str, Sequence[Statement]] = {}
        self.organization_allows, self.each_resource = True, True

    def simulate_principal_policy(
        self,
        *,
        PolicySourceArn: str,
        ActionNames: Sequence[str],
        ResourceArns: Sequence[str],
        ContextEntries: Sequence[Mapping[str, Any]],
    ) -> Any:
        context = {each["ContextKeyName"]: each["ContextKeyValues"][0] for each in ContextEntries}
        (resource,) = ResourceArns
        results = [self._result(PolicySourceArn, action, resource, context) for action in ActionNames]
        return {"EvaluationResults": results, "IsTruncated": False}

    def _result(self, role: str, action: str, resource: str, context: Mapping[str, str]) -> Any:
        own = self.roles[role]
        decided = decision(own, action, resource, context)
        bounds = self.boundaries.get(role)
        within = bounds is None or decision(bounds, action, resource, context) == "allowed"
        if decided == "allowed" and not (within and self.organization_allows):
            decided = "implicitDeny"
        foreign = role.split(":")[4] != resource.split(":")[4]
        details = {"IAM Policy": decided, "Resource Policy": "implicitDeny"} if foreign else {}
        overall = "implicitDeny" if foreign and decided == "allowed" else decided
        missing = sorted({key for each in own for key in keys(each) if key not in context})
        found = {
            "EvalResourceName": resource,
            "EvalResourceDecision": overall,
            "EvalDecisionDetails": details,
            "MissingContextValues": missing,
            "PermissionsBoundaryDecisionDetail": {"AllowedByPermissionsBoundary": within},
        }
        return {
            "EvalActionName": action,
            "EvalDecision": overall,
            "OrganizationsDecisionDetail": {"AllowedByOrganizations": self.organization_allows},
            "ResourceSpecificResults": [found] if self.each_resource else [],
        }


def decision(statements: Sequence[Statement], action: str, resource: str, context: Mapping[str, str]) -> str:
    """As IAM names it: an explicit denial wins."""
    effects = {each["Effect"] for each in statements if _concerns(each, action, resource, context)}
    return "explicitDeny" if "Deny" in effects else "allowed" if "Allow" in effects else "implicitDeny"


def keys(statement: Statement) -> list[str]:
    """The context keys of its conditions."""
    return [key for compared in statement.get("Condition", {}).values() for key in compared]


def _concerns(statement: Statement, action: str, resource: str, context: Mapping[str, str]) -> bool:
    matching = any(fnmatchcase(action, each) for each in _listed(statement["Action"]))
    on = any(fnmatchcase(resource, each) for each in _listed(statement["Resource"]))
    fulfilled = all(
        any(fnmatchcase(context.get(key, ""), each) for each in _listed(values))
        for compared in statement.get("Condition", {}).values()
        for key, values in compared.items()
    )
    return matching and on and fulfilled


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


class Keys:
    """Keys by ARN; `names`: what else a key is called. A key of another account than `account` tells no policy."""

    def __init__(self, account: str) -> None:
        self.account = account
        self.managers: dict[str, str] = {}
        self.policies: dict[str, Any] = {}
        self.names: dict[str, str] = {}

    def describe_key(self, *, KeyId: str) -> Any:
        arn = self._arn(KeyId)
        return {"KeyMetadata": {"KeyId": arn.rpartition("/")[2], "Arn": arn, "KeyManager": self.managers[arn]}}

    def get_key_policy(self, *, KeyId: str) -> Any:
        arn = self._arn(KeyId)
        if arn.split(":")[4] != self.account:
            raise refusal("GetKeyPolicy", "AccessDeniedException", "not across accounts")
        return {"Policy": json.dumps(self.policies[arn]), "PolicyName": "default"}

    def _arn(self, named: str) -> str:
        arn = self.names.get(named, named)
        if arn not in self.managers:
            raise refusal("DescribeKey", "NotFoundException", f"Key {named} does not exist")
        return arn


class ResourcePolicies:
    """Of data streams and of consumers, by ARN."""

    def __init__(self) -> None:
        self.policies: dict[str, Any] = {}

    def get_resource_policy(self, *, ResourceARN: str) -> Any:
        if ResourceARN not in self.policies:
            raise refusal("GetResourcePolicy", "ResourceNotFoundException", "no policy")
        return {"Policy": json.dumps(self.policies[ResourceARN])}
