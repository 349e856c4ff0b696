"""A deployed stack, found by its name: its functions, and where they keep things."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from distributary.consumer import streams
from distributary.consumer.aws import ALIAS
from distributary.errors import ConfigError
from distributary.feed.invoke import deployed
from distributary.readers.parked import BRANCHES
from distributary.stream.keys import table_of
from distributary.welcome.settings import claims_kept_days

Clients = Callable[[str], Any]
"""A client of a service."""

TRUNK = "trunk"
"""What the function is called that is no branch, and carries several."""

RETRIES = Config(retries={"mode": "adaptive", "total_max_attempts": 10}, max_pool_connections=64, read_timeout=905)
"""A function may take 15 minutes (https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html)."""


def clients(endpoint: str | None, region: str | None) -> Clients:
    """Clients of AWS, or of what answers at the endpoint. boto3 itself asks for AWS_DEFAULT_REGION alone."""
    session, made = boto3.Session(region_name=region or os.environ.get("AWS_REGION") or None), dict[str, Any]()

    def client(service: str) -> Any:
        if service not in made:
            made[service] = session.client(service, endpoint_url=endpoint, config=RETRIES)  # type: ignore[call-overload]
        return made[service]

    return client


@dataclass(frozen=True)
class Stack:
    """`outputs` as CloudFormation has them."""

    name: str
    clients: Clients = field(repr=False)
    outputs: Mapping[str, str]
    _functions: dict[str, "Function"] = field(default_factory=dict, repr=False)

    @classmethod
    def find(cls, name: str, clients: Clients) -> "Stack":
        """Raises ConfigError if there is no such stack, or it is another application's."""
        if not name:
            raise ConfigError("--stack: the name is empty; give the name that the stack was deployed with")
        try:
            (found,) = clients("cloudformation").describe_stacks(StackName=name)["Stacks"]
        except ClientError as error:
            if error.response["Error"]["Code"] != "ValidationError":
                raise
            raise ConfigError(f"--stack: there is no stack '{name}'; correct its name, --region or profile") from None
        outputs = {each["OutputKey"]: each["OutputValue"] for each in found.get("Outputs", [])}
        if "ParkingBucketName" not in outputs:
            raise ConfigError(
                f"--stack: '{name}' is no stack of Distributary, or its first deployment has not succeeded "
                f"(it is {found.get('StackStatus', 'in an unknown state')})"
            )
        return cls(name, clients, outputs)

    def output(self, name: str) -> str:
        """Raises ConfigError if the stack has none of this name: it is of another version, or without the function."""
        if name not in self.outputs:
            raise ConfigError(f"stack '{self.name}' has no output {name}: deploy this version, with the function on")
        return self.outputs[name]

    @property
    def claim_days(self) -> int:
        """For how long welcome remembers what a rule that sends again has sent."""
        environment = self.function("welcome").environment
        return claims_kept_days(int(environment.get("CLAIM_DAYS", "30")), int(environment.get("PARKING_DAYS", "0")))

    @property
    def functions(self) -> Mapping[str, "Function"]:
        """Those that the stack has, by branch."""
        return {name: self.function(name) for name in BRANCHES if f"{name.capitalize()}FunctionArn" in self.outputs}

    def function(self, branch: str) -> "Function":
        """Of a branch, such as derive: the version that its events go to."""
        if branch not in self._functions:
            arn = f"{self.output(f'{branch.capitalize()}FunctionArn')}:{ALIAS}"
            trunk = None if branch == TRUNK else self.trunk
            self._functions[branch] = Function(branch, arn, self.clients, trunk)
        return self._functions[branch]

    @property
    def trunk(self) -> "Function | None":
        """The function that reads a stream for several branches, if the stack has one."""
        return self.function(TRUNK) if "TrunkFunctionArn" in self.outputs else None


@dataclass(frozen=True)
class Function:
    """A deployed function of a branch, or the trunk; `trunk` is that of its stack."""

    branch: str
    arn: str
    clients: Clients = field(repr=False)
    trunk: "Function | None" = field(default=None, repr=False)

    def invoke(self, event: Mapping[str, Any]) -> Any:
        """See `feed.invoke.Invoke`."""
        return deployed(self.clients("lambda"), self.branch, self.arn)(event)

    @cached_property
    def environment(self) -> Mapping[str, str]:
        """Its environment variables."""
        variables: dict[str, str] = self._configuration.get("Environment", {}).get("Variables", {})
        return variables

    @property
    def log_group(self) -> str:
        """Empty for a function of this machine."""
        return str(self._configuration.get("LoggingConfig", {}).get("LogGroup", ""))

    @property
    def carries(self) -> tuple[str, ...]:
        """The branches of a trunk."""
        return tuple(filter(None, self.environment.get("TRUNK_BRANCHES", "").split(",")))

    @property
    def writers(self) -> "tuple[Function, ...]":
        """The functions that write the branch's sink: itself, and the trunk if that carries it."""
        carried = self.trunk is not None and self.branch in self.trunk.carries
        return (self, self.trunk) if carried and self.trunk is not None else (self,)

    @property
    def role(self) -> str:
        """The ARN of its execution role."""
        return str(self._configuration["Role"])

    def mappings(self) -> Sequence[Mapping[str, Any]]:
        """Its event source mappings, as Lambda lists them. Raises ClientError."""
        pages = self.clients("lambda").get_paginator("list_event_source_mappings").paginate(FunctionName=self.arn)
        return [each for page in pages for each in page["EventSourceMappings"]]

    @property
    def timeout(self) -> int:
        """Seconds that an invocation may take."""
        return int(self._configuration["Timeout"])

    @cached_property
    def _configuration(self) -> Mapping[str, Any]:
        found: dict[str, Any] = self.clients("lambda").get_function_configuration(FunctionName=self.arn)
        return found

    @cached_property
    def streams(self) -> Mapping[str, int]:
        """The generation of each stream that it reads, its own first. Raises ConfigError for what keeps the function
        from starting."""
        try:
            return streams.parse(self.environment.get("STREAMS", ""))
        except ValueError as error:
            raise ConfigError(f"{self.branch} cannot start: STREAMS: {error}") from None

    @property
    def sources(self) -> Mapping[str, str]:
        """The ARN of the stream that it reads now, by the name of its table; empty if none is known."""
        own = streams.parse_sources(self.environment.get("SOURCES", "")) or tuple(self.streams)[:1]
        return {table_of(stream): stream for stream in own}

    def named(self, table: str) -> str:
        """The table as a command names it: not at all, if the function reads one."""
        return table if len(self.sources) > 1 else ""
