"""The one way for a test to have a value with some fields changed: most values are structs, some are dataclasses."""

import dataclasses
from typing import Any

from msgspec import Struct, structs


def replace(value: Any, /, **changes: Any) -> Any:
    """A value of the same type with these fields instead."""
    return structs.replace(value, **changes) if isinstance(value, Struct) else dataclasses.replace(value, **changes)
