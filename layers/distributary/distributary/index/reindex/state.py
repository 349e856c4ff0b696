"""How far the move to a generation has come, kept with the index that it fills."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from distributary.errors import ConfigError
from distributary.index.declarations import Index
from distributary.index.opensearch.reader import asked

_META = "distributary_reindex"


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """`origin` is the generation that readers come from. `started`: when the backfill began, in epoch seconds, and all
    earlier invocations had ended that wrote to one generation only; `done`: its finished segments, of `segments`.
    `compared`: when the last comparison ended; `differences`, `refused` and `moving`: what it left."""

    origin: int
    started: float | None = None
    segments: int = 0
    done: tuple[int, ...] = field(default=())
    compared: float | None = None
    differences: int = 0
    refused: int = 0
    moving: int = 0

    @property
    def filled(self) -> bool:
        """Whether the backfill is complete."""
        return self.started is not None and len(self.done) == self.segments


def read(client: Any, physical: str) -> State | None:
    """None if no move to this index has begun. Raises Unavailable, ConfigError."""
    meta = _meta(client, physical).get(_META)
    return State(**{**meta, "done": tuple(meta["done"])}) if meta else None


def write(client: Any, physical: str, state: State) -> None:
    """Beside whatever else the index's `_meta` holds. Raises Unavailable, ConfigError."""
    meta = {**_meta(client, physical), _META: asdict(state)}
    asked("state", lambda: client.indices.put_mapping(index=physical, body={"_meta": meta}))


def read_by(client: Any, index: Index) -> int:
    """The generation that the read alias points to. Raises Unavailable, and ConfigError if it points to none."""
    if not asked("alias", lambda: client.indices.exists_alias(name=index.name)):
        raise ConfigError(
            f"index '{index.name}': readers have no alias of that name: run `distributary index apply` first"
        )
    names = list(asked("alias", lambda: client.indices.get_alias(name=index.name)))
    prefix = index.physical(0).removesuffix("0")
    generations = [name.removeprefix(prefix) for name in names]
    if len(names) != 1 or not names[0].startswith(prefix) or not generations[0].isdigit():
        raise ConfigError(
            f"alias '{index.name}' points to {', '.join(names)}: expected one index, {prefix}<generation>"
        )
    return int(generations[0])


def exists(client: Any, physical: str) -> bool:
    """Whether there is such an index. Raises Unavailable, ConfigError."""
    return bool(asked("index", lambda: client.indices.exists(index=physical)))


def _meta(client: Any, physical: str) -> Mapping[str, Any]:
    mapping = asked("state", lambda: client.indices.get_mapping(index=physical))
    meta: Mapping[str, Any] = mapping[physical]["mappings"].get("_meta", {})
    return meta
