"""`python -m distributary` is the `distributary` command. The layer is built without this file: Lambda has no commands."""

import runpy

runpy.run_module("cli", run_name="__main__", alter_sys=True)
