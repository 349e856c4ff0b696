"""`python -m distributary` is the `distributary` command; the layer is built without this file."""

import runpy

runpy.run_module("cli", run_name="__main__", alter_sys=True)
