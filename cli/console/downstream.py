"""What functions keep, as the console's pages about keys, parked changes, views and indexes need it."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli import stack as deployed
from cli.console import explain
from cli.console.history import History, Seen
from distributary.feed.snapshot import Table
from distributary.stream import records
from distributary.stream.change import Change, Undecodable, Unlisted


class Declarations:
    """What the functions declare, checked. It is loaded when it is asked for, and again after `forget`. `load` raises
    DeclarationFaults; `lock` is held meanwhile, since it changes what can be imported."""

    def __init__(self, load: Callable[[str], Any], lock: threading.Lock) -> None:
        self._load, self._lock = load, lock
        self._known: dict[str, Any] = {}

    def __call__(self, function: str) -> Any:
        """Of a function; None if it declares nothing."""
        with self._lock:
            if function not in self._known:
                self._known[function] = self._load(function)
            return self._known[function]

    def forget(self, function: str) -> None:
        """They have changed."""
        with self._lock:
            self._known.pop(function, None)


@dataclass(frozen=True, kw_only=True)
class Downstream(ABC):
    """`history`: the changes that were seen. `outbox`: the folder of mail that was sent on this machine."""

    history: History
    declared: Declarations
    functions: tuple[str, ...]
    tables: tuple[Table, ...]
    outbox: Path
    generation: int = 0
    _clients: dict[str, Any] = field(default_factory=dict, repr=False)
    _types: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)

    @property
    @abstractmethod
    def deployed(self) -> deployed.Stack:
        """The functions as commands see those of a deployed stack."""

    @property
    @abstractmethod
    def dynamodb(self) -> Any:
        """A client for the source tables."""

    @abstractmethod
    def environment(self, function: str) -> Mapping[str, str]:
        """Of a function as it runs."""

    @abstractmethod
    def made(self, service: str, region: str | None) -> Any:
        """A new client for what the functions keep."""

    def clients(self, service: str, region: str | None = None, **_: Any) -> Any:
        """A client for what the functions keep; see `consumer.aws.Clients`."""
        name = f"{service} {region or ''}"
        if name not in self._clients:
            self._clients[name] = self.made(service, region)
        return self._clients[name]

    def clients_with(self, search: Callable[..., Any]) -> Callable[..., Any]:
        """As `clients`, with a client of OpenSearch as `search` makes it."""

        def made(service: str, region: str | None = None, **options: Any) -> Any:
            return search(service, region, **options) if service == "opensearch" else self.clients(service, region)

        return made

    def table(self, name: str) -> Table:
        """One of the source tables. Raises LookupError."""
        found = next((table for table in self.tables if table.name == name), None)
        if found is None:
            raise LookupError(f"'{name}' is not attached: there are {', '.join(each.name for each in self.tables)}")
        return found

    def key_types(self, table: Table) -> Mapping[str, str]:
        """S, N or B, by the name of a key attribute."""
        if table.name not in self._types:
            described = self.dynamodb.describe_table(TableName=table.name)["Table"]["AttributeDefinitions"]
            self._types[table.name] = {each["AttributeName"]: each["AttributeType"] for each in described}
        return {name: self._types[table.name][name] for name in table.keys}

    def shown_tables(self) -> list[dict[str, Any]]:
        """The source tables as plain values."""
        return [{"name": each.name, "keys": list(each.keys), "types": self.key_types(each)} for each in self.tables]

    def change(self, seen: Seen) -> Change | Undecodable | Unlisted:
        """A remembered change, decoded as functions decode it."""
        (entry,) = records.decode({"Records": [seen.event_record()]}, self.generation)
        return entry

    def entities(self, seen: Seen) -> Sequence[str]:
        """Of the item, by all declarations; empty if its record is no change, or while declarations are faulty."""
        if seen.entities is None:
            entry = self.change(seen)
            seen.entities = explain.known(self.functions, self.declared, entry) if isinstance(entry, Change) else ()
        return seen.entities
