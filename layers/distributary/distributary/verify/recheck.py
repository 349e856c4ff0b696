"""Second looks: a difference counts if two looks, a pause apart, find the same. Before, a change may be on its way."""

from collections.abc import Callable, Hashable, Mapping
from typing import Protocol, TypeVar

LOOKS = 4
"""The number of looks; what changes between any two of them is reported as moving."""


class Evident(Protocol):
    """A finding; `evidence` is a digest of all that it was judged by."""

    @property
    def evidence(self) -> str:
        """Equal for two looks that found the same."""


Name = TypeVar("Name", bound=Hashable)
Found = TypeVar("Found", bound=Evident)


def recheck(
    suspects: Mapping[Name, Found],
    look: Callable[[list[Found]], Mapping[Name, Found]],
    wait: Callable[[], None],
    confirm: Callable[[list[Found]], None],
) -> list[Found]:
    """Looks again at what differed, by name, until all of it is confirmed, gone or out of looks.

    `look` returns what of these still differs, `wait` makes the pause before it, and `confirm` is called
    after each look with what was found as before. Returns what kept changing.
    """
    before = dict(suspects)
    for _ in range(LOOKS - 1):
        if not before:
            break
        wait()
        after = {name: each for name, each in look(list(before.values())).items() if name in before}
        confirm([each for name, each in after.items() if before[name].evidence == each.evidence])
        before = {name: each for name, each in after.items() if before[name].evidence != each.evidence}
    return list(before.values())
