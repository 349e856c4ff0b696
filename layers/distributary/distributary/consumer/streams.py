"""Which generation a stream's changes belong to: positions of two streams cannot be compared."""

from collections.abc import Callable, Mapping, Sequence

from distributary.errors import ConfigError, DistributaryError, ForeignStream, Rejected
from distributary.stream.keys import table_of
from distributary.stream.struct import Struct, field
from distributary.stream.version import GENERATIONS

UNLISTED = "UnlistedStream"
"""The metric that counts changes of streams that are not listed, or are bound otherwise."""

Bind = Callable[[str, int], None]
"""Writes into the sink that a stream has a generation, unless it is there. Raises ForeignStream if the sink disagrees,
Unavailable if it cannot be asked, ConfigError if a later release wrote it."""

Bound = Mapping[int, str]
"""Streams by generation."""


def bound_nowhere(stream: str, generation: int) -> None:
    """The `bind` of a sink that never compares versions of two streams."""


def parse(text: str) -> dict[str, int]:
    """Reads `ARN=generation` entries, separated by commas, into generations by ARN. An entry without an ARN belongs to
    a function that is not deployed. Raises ValueError."""
    found: dict[str, int] = {}
    for entry in filter(None, text.split(",")):
        stream, _, generation = entry.rpartition("=")
        if not (generation.isascii() and generation.isdigit() and int(generation) < GENERATIONS):
            raise ValueError("give ARN=generation, separated by commas")
        if stream and not table_of(stream):
            raise ValueError(f"give the ARN of a DynamoDB stream, not '{stream}'")
        if stream and found.setdefault(stream, int(generation)) != int(generation):
            raise ValueError(_two_generations(stream, found[stream], int(generation)))
    _check(found)
    return found


def _two_generations(stream: str, one: int, other: int) -> str:
    """The function's own one comes first. It stayed behind, or it came back."""
    return (
        f"give one generation to '{stream}', which is listed with {one} and {other}: if the stack's other functions go "
        "to another source, this one goes along, or gets a stack of its own; if they come back to this stream, disable "
        "it and enable it again, for it then has another ARN"
    )


def parse_sources(text: str) -> tuple[str, ...]:
    """Reads the ARNs of the streams that a function reads now, separated by commas; an empty entry is none. Raises
    ValueError."""
    found = tuple(filter(None, text.split(",")))
    for stream in found:
        if not table_of(stream) or "=" in stream:
            raise ValueError(f"give the ARN of a DynamoDB stream, not '{stream}'")
    if len(set(map(table_of, found))) < len(found):
        raise ValueError("give each table once")
    return found


def _check(found: Mapping[str, int]) -> None:
    owners: dict[tuple[str, int], str] = {}
    tables: dict[str, str] = {}
    for stream, generation in found.items():
        table, name = stream.partition("/stream/")[0], table_of(stream)
        if tables.setdefault(name, table) != table:
            raise ValueError(f"give each source table a stack of its own: two are called '{name}'")
        if owners.setdefault((table, generation), stream) != stream:
            raise ValueError(f"give each stream of table '{name}' its own generation: two have {generation}")


def bound_with(bound: Bound, stream: str, generation: int) -> Bound | None:
    """What is bound together with this pair; None if the pair is bound already. Raises ForeignStream if it cannot be.

    A generation has one stream. A new pair needs a generation above all others: below them, every change of the stream
    would be superseded without a word.
    """
    if bound.get(generation) == stream:
        return None
    if generation in bound:
        raise ForeignStream(
            f"generation {generation} of table '{table_of(stream)}' belongs to stream {bound[generation]}, not to "
            f"{stream}: raise Generation to {max(bound) + 1}, list the old stream in EarlierStreams, and repair"
        )
    if bound and generation < max(bound):
        raise ForeignStream(
            f"stream {stream} has generation {generation}, and generation {max(bound)} of table '{table_of(stream)}' "
            f"has been written already: raise Generation above {max(bound)}, and repair"
        )
    return {**bound, generation: stream}


class Streams(Struct, frozen=True):
    """`listed`: the generation of each stream, by ARN; where none is listed, every stream has `generation`. `bind`
    asks the sink once per stream and environment. `own`: the streams that the function reads now, the first listed if
    empty."""

    generation: int
    listed: Mapping[str, int] = field(default_factory=dict)
    bind: Bind = bound_nowhere
    own: Sequence[str] = ()
    _bound: set[str] = field(default_factory=set)

    def of_batch(self) -> Callable[[str], int]:
        """`of` for the records of one batch: a sink that does not answer is asked once, not once a record."""
        known: dict[str, int | DistributaryError] = {}

        def of(stream: str) -> int:
            if stream not in known:
                try:
                    known[stream] = self.of(stream)
                except DistributaryError as error:
                    known[stream] = error
            found = known[stream]
            if isinstance(found, DistributaryError):
                raise found
            return found

        return of

    def bind_own(self, table: str = "") -> None:
        """Asks the sink for the function's own streams, or for that of one table. Raises as `of`, and ConfigError if
        the function does not read the table."""
        own = self.own or list(self.listed)[:1]
        if table and own and table not in map(table_of, own):
            raise ConfigError(f"the function reads {', '.join(map(table_of, own))}, not '{table}'")
        for each in own:
            if table in ("", table_of(each)):
                self.of(each)

    def of(self, stream: str) -> int:
        """The stream's generation. Raises ForeignStream if it is not listed or the sink has it bound otherwise,
        Rejected if the record names no stream, and what `bind` raises."""
        if not self.listed:
            return self.generation
        if not stream:
            raise Rejected("the record has no eventSourceARN")
        generation = self.listed.get(stream)
        if generation is None:
            raise ForeignStream(
                f"stream {stream} is not listed: give its ARN as the function's source, with a Generation above every "
                f"earlier one; list the old stream as ARN=generation in EarlierStreams; then repair"
            )
        if stream not in self._bound:
            self.bind(stream, generation)
            self._bound.add(stream)
        return generation
