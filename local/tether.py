"""Runs a module as __main__ until its parent goes away: its standard input is the tether.

    python -I -S tether.py PATH[:PATH...] MODULE [ARGUMENT...]

A parent that is killed cannot stop its children; a pipe that closes with it does, on every system.
"""

import os
import runpy
import sys
import threading


def _end_with_the_parent() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    _, paths, module, *rest = sys.argv
    sys.path[:0] = [path for path in paths.split(os.pathsep) if path]
    sys.argv = [module, *rest]
    threading.Thread(target=_end_with_the_parent, daemon=True).start()
    runpy.run_module(module, run_name="__main__", alter_sys=True)
