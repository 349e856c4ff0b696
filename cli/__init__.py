"""The `distributary` command. It imports the layer from the checkout that it is part of."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "layers" / "distributary"))
