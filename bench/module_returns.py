"""How often one batch returns to a module that it had left: `python -m bench.module_returns`.

Every call of a function in `replicate/multi_active` is noted by its module. Calls within one module count as one visit;
a visit of a module that was left before is a return.
"""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from distributary.replicate import by_attribute, last_writer
from tests.unit.edited_regions import US, World

FOLDER = "multi_active"


def visits(run: Callable[[], Any]) -> list[str]:
    """The modules that were called, in order; each as often as it was entered from another one."""
    found: list[str] = []

    def note(frame: FrameType, event: str, _: Any) -> None:
        path = Path(frame.f_code.co_filename)
        if event == "call" and path.parent.name == FOLDER and found[-1:] != [path.stem]:
            found.append(path.stem)

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    return found


def returns(visited: list[str]) -> int:
    """Visits of a module that had been left."""
    return len(visited) - len(set(visited))


def main() -> None:
    """Prints, for a batch of one update of an item that all regions have, the modules and the returns."""
    make: Any = World
    for name, rule in (("whole items", last_writer("at", "seconds")), ("merged items", by_attribute("at", "seconds"))):
        world = make(rule)
        world.put(US, 1, "a")
        world.settle()
        world.update(US, 2, value={"S": "b"})
        visited = visits(partial(world.carry, US))
        print(f"{name}: {len(set(visited))} modules, {len(visited)} visits, {returns(visited)} returns")


if __name__ == "__main__":
    main()
