"""Whether the live function writes to both generations, and has since a given moment."""

import datetime
import time
from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass
from typing import Any, Protocol

from distributary.consumer.aws import ALIAS, AwsError, code_of
from distributary.errors import ConfigError

GENERATION, ALSO = "GENERATION", "ALSO_GENERATION"


class Writers(Protocol):
    """Knows which generations the live function writes to."""

    def both(self, origin: int, target: int, since: float | None) -> float:
        """A moment, in epoch seconds, since which every invocation has written to both, which may be one and the same;
        waits for those to end that began before. Raises ConfigError, with what to deploy, if that is not so, or not
        since `since`."""


@dataclass(frozen=True, slots=True)
class Vouched:
    """The user says so: for functions that run elsewhere than in Lambda."""

    now: Callable[[], float] = time.time

    def both(self, origin: int, target: int, since: float | None) -> float:  # noqa: ARG002
        """See `Writers`."""
        return self.now() if since is None else since


@dataclass(frozen=True, slots=True)
class Deployed:
    """The configuration of the version that is invoked says so. `client` is boto3's for Lambda.
    https://docs.aws.amazon.com/lambda/latest/api/API_GetFunctionConfiguration.html"""

    client: Any
    function: str
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep

    def both(self, origin: int, target: int, since: float | None) -> float:
        """See `Writers`. Lambda does not say when the alias moved to its version, so this waits for as long as an
        invocation of the version before can take."""
        found, weights = self._invoked()
        given = found.get("Environment", {}).get("Variables", {})
        written = {given.get(GENERATION), given.get(ALSO)} - {"", None}
        if written != {str(origin), str(target)}:
            raise ConfigError(f"{self.function} {_to_deploy(written, origin, target)}, then run this again")
        if weights:
            raise ConfigError(
                f"{self.function} is being deployed gradually: wait until that is done, then run this again"
            )
        if since is not None and _seconds(found["LastModified"]) + found["Timeout"] > since:
            raise ConfigError(
                f"{self.function} was deployed after the backfill had begun: if it has written to both generations all "
                "the time, say so with --writing-both; if not, run start --again"
            )
        if since is None:
            self.sleep(found["Timeout"])
        return self.now() if since is None else since

    def _invoked(self) -> tuple[Mapping[str, Any], Mapping[str, float]]:
        """The alias's version, and what share of invocations other versions have."""
        try:
            found = self.client.get_function_configuration(FunctionName=self.function, Qualifier=ALIAS)
            alias = self.client.get_alias(FunctionName=self.function, Name=ALIAS)
        except AwsError as error:
            raise ConfigError(f"--function {self.function}: {code_of(error)}; correct its name or region") from None
        return found, alias.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})


def _to_deploy(written: Set[str], origin: int, target: int) -> str:
    """What to do about a function that writes to other generations than these two."""
    if target == origin:
        only = f"deploy the stack with Generation={target} and an empty AlsoGeneration"
        return f"does not write to generation {target} alone: {only}"
    both = f"deploy the stack with Generation={origin} and AlsoGeneration={target}"
    if written == {str(target)}:
        return (
            f"writes to generation {target} alone: if it has a new source, wait until it has taken a change from it, "
            f"which binds the new index; if not, {both}"
        )
    return f"does not write to generations {origin} and {target}: {both}"


def _seconds(modified: str) -> float:
    return datetime.datetime.strptime(modified, "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
