"""`python -m cli`: the `distributary` command without its installation."""

import sys
from importlib.util import find_spec

if find_spec("typer") is None:
    sys.exit("this Python lacks Distributary's packages: run `make install`, then `. .venv/bin/activate`")

from cli.main import main

sys.exit(main())
