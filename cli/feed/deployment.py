"""Whether invocations of another declaration can still run: what they write is not what a rebuild is to leave."""

import sys
import time
from collections.abc import Callable

from cli.stack import Function
from distributary.consumer.aws import ALIAS
from distributary.errors import ConfigError


def version_of(function: Function) -> str:
    """The version that every event goes to, and that of the trunk if it carries the branch. Raises ConfigError while
    some go to another."""
    return "-".join(map(_version, function.writers))


def _version(function: Function) -> str:
    client, name = function.clients("lambda"), function.arn.removesuffix(f":{ALIAS}")
    alias = client.get_alias(FunctionName=name, Name=ALIAS)
    if (alias.get("RoutingConfig") or {}).get("AdditionalVersionWeights"):
        raise ConfigError(
            f"{function.branch} is being deployed gradually: wait until that is done, then run this again"
        )
    version: str = alias["FunctionVersion"]
    return version


def wait_for_others(function: Function, sleep: Callable[[float], None] | None = None) -> None:
    """Until no invocation of an earlier version can run. Lambda does not say when the alias moved to its version, so
    this waits for as long as an invocation can take.
    https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionConfiguration.html"""
    seconds = max(each.timeout for each in function.writers)
    print(f"waiting {seconds} s, until no invocation of an earlier version can run", file=sys.stderr)
    (sleep or time.sleep)(seconds)
