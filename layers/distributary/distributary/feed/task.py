"""What a feed on AWS is to do: the input that the command gives to the state machine, and the function reads."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from distributary import __version__
from distributary.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Gives `function` what `table` holds: what an `export` or an `archive` (both addresses) holds of it, if one is
    named, from the moment `begin` to before `end` (microseconds, of an archive); else a scan in so many `segments`.
    `keys` are the table's. `first_fill` gives whole items; otherwise keys are reconciled, of the views or indexes
    `only`, all if empty. Or sweeps the part `sweep` of what the function keeps (see `consumer.sweep`) in as many
    segments. Or redrives what is `parked` of the function, of whatever table: what has this text in its `cause`, all if
    empty. `rate`: items, rows or changes a second, of one part. `numbers`: of these parts alone, all if empty; parked
    objects are divided anew. `new`: a digest of the views that it fills for the first time, so that others are another
    task.
    """

    function: str
    table: str = ""
    keys: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    first_fill: bool = False
    segments: int = 1
    rate: float = 1000.0
    export: str = ""
    archive: str = ""
    sweep: str = ""
    parked: bool = False
    cause: str = ""
    begin: int | None = None
    end: int | None = None
    numbers: tuple[int, ...] = ()
    new: str = ""
    version: str = __version__

    def as_json(self) -> dict[str, Any]:
        """For `of`."""
        return {**asdict(self), "keys": list(self.keys), "only": list(self.only), "numbers": list(self.numbers)}

    @classmethod
    def of(cls, given: Any) -> Self:
        """Raises ConfigError if it is a task of another version, or none."""
        version = given.get("version") if isinstance(given, Mapping) else None
        if version != __version__:
            raise ConfigError(
                f"the command is of version {version}, and the stack of {__version__}: deploy the command's version"
            )
        try:
            return cls(**{**given, **{name: tuple(given[name]) for name in ("keys", "only", "numbers")}})
        except (KeyError, TypeError) as error:
            raise ConfigError(f"the task cannot be read: {error!r:.200}") from None
