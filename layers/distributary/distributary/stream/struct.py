"""The base of values that are quick to define and to make: msgspec's, or dataclasses where there is no msgspec."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from msgspec import Struct, field
    from msgspec.structs import replace
else:
    try:
        from msgspec import Struct, field
        from msgspec.structs import replace
    except ModuleNotFoundError:  # an application that reads derived tables has boto3 alone
        from dataclasses import dataclass, field, replace

        class Struct:
            """As much of msgspec's as is used."""

            def __init_subclass__(cls, **options: Any) -> None:
                dataclass(**options)(cls)


__all__ = ["Struct", "field", "replace"]
