"""Runs a module as __main__ until its parent goes away: its standard input is the tether.

    python -I -S tether.py PATH[:PATH...] MODULE [ARGUMENT...]

A parent that is killed cannot stop its children; a pipe that closes with it does, on every system.
"""

import importlib.util
import os
import runpy
import sys
import threading


def _end_with_the_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


def _tap(given: str) -> None:
    """Has what this process says to services written down; see local/recording/tap.py."""
    file = os.path.join(os.path.dirname(os.path.abspath(__file__)), "recording", "tap.py")
    spec = importlib.util.spec_from_file_location("distributary_tap", file)
    assert spec is not None
    assert spec.loader is not None
    tap = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tap)
    tap.install(given)


if __name__ == "__main__":
    if "DISTRIBUTARY_TAP" in os.environ:
        _tap(os.environ.pop("DISTRIBUTARY_TAP"))
    _, paths, module, *rest = sys.argv
    sys.path[:0] = [path for path in paths.split(os.pathsep) if path]
    sys.argv = [module, *rest]
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)
