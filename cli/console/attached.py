"""The attached functions as the console's pages need them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cli import stack as deployed
from cli.console.downstream import Downstream
from cli.target import as_deployed
from local.aws import Aws
from local.esm.mapping import Delivering
from local.recording.recorded import Recorded
from local.stack import Stack


@dataclass(frozen=True, kw_only=True)
class Attached(Downstream):
    """`stack` keeps what the functions make; `source` has the tables. `writable`: whether the console may write to the
    tables themselves, which it does for an emulator, or if the user says so."""

    source: Aws
    stack: Stack
    mappings: Mapping[str, Delivering]
    recorded: Recorded
    writable: bool

    @cached_property
    def deployed(self) -> deployed.Stack:
        """See `Downstream`."""
        return as_deployed(self.stack, self.streams, self.stack.aws)

    @property
    def streams(self) -> tuple[str, ...]:
        """The ARNs that are read."""
        return tuple(table.stream_arn for table in self.tables)

    def made(self, service: str, region: str | None) -> Any:
        """See `Downstream`."""
        return self.stack.aws.client(service, region)

    @property
    def dynamodb(self) -> Any:
        """See `Downstream`."""
        if "source" not in self._clients:
            self._clients["source"] = self.source.client("dynamodb")
        return self._clients["source"]

    def environment(self, function: str) -> Mapping[str, str]:
        """See `Downstream`."""
        return self.stack.function(function).spec.environment
