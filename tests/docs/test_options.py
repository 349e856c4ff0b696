"""Every name that a slice offers is documented, and with it every option."""

import dataclasses
import importlib
import inspect
import re

import pytest
from msgspec import Struct

from tests.docs.pages import DOCS, section

SHARED = {
    "Entity": ("derive", "## Entities"),
    "key_prefix": ("derive", "## Entities"),
    "type_is": ("derive", "## Entities"),
    "electro_entity": ("derive", "## Entities"),
}
WHERE = {
    "derive": {
        "Projection": ("derive", "## Projection"),
        "Aggregate": ("derive", "## Aggregate"),
        "Latest": ("derive", "## Latest and Earliest"),
        "Earliest": ("derive", "## Latest and Earliest"),
        "Top": ("derive", "## Top"),
        "Join": ("derive", "## Joins"),
        "rows_of": ("derive", "## Views over views"),
        "check": ("derive", "## Testing your declarations"),
        "sortable_number": ("derive", "### Numbers that sort"),
        **dict.fromkeys(
            ("date_trunc", "split_part", "json_field", "nested", "lower"), ("derive", "## Computed attributes")
        ),
    },
    "index": {
        "Index": ("index-function", "## Index"),
        "Field": ("index-function", "## Field"),
        "check": ("index-function", "## Testing your declarations"),
    },
    "welcome": {
        "Rule": ("welcome", "## Rule"),
        "INSERTED": ("welcome", "## Triggers"),
        "EXPIRED": ("welcome", "## Triggers"),
        "became": ("welcome", "## Triggers"),
        "Content": ("welcome", "## Content"),
        "Stored": ("welcome", "## Content"),
        "contents": ("welcome", "## Content"),
        "Ses": ("welcome", "## Channels"),
        "Sms": ("welcome", "## Channels"),
        "Topic": ("welcome", "## Channels"),
        "EventBridge": ("welcome", "## Channels"),
        "Channel": ("welcome", "## Channels"),
        "Connections": ("welcome", "## Channels"),
        "MaybeSent": ("welcome", "## Channels"),
        "Message": ("welcome", "## Channels"),
        "check": ("welcome", "## Testing your declarations"),
        "compose": ("welcome", "## Testing your declarations"),
    },
    "replicate": {
        "Mirror": ("replicate", "## Mirror"),
        "MultiActive": ("multi-active", "## MultiActive"),
        "last_writer": ("multi-active", "### last_writer"),
        "greatest": ("multi-active", "### greatest"),
        "by_attribute": ("multi-active", "### by_attribute"),
        "total": ("multi-active", "### by_attribute"),
        "custom": ("multi-active", "### custom"),
        "check": ("replicate", "## Testing your declarations"),
    },
}
CHANNELS = {"Ses", "Sms", "Topic", "EventBridge"}
REFERENCE = {"derive": "derive", "index": "index-api", "welcome": "welcome", "replicate": "replicate"}
OFFERED = [(slice_, name) for slice_ in WHERE for name in importlib.import_module(f"distributary.{slice_}").__all__]


def options(name: str, offered: object) -> list[str]:
    """A declaration's fields, and the parameters that a function's caller may leave out. What a function must be given
    is in each of its examples; a channel is named only, and made by `connect`."""
    if name in CHANNELS or not callable(offered):
        return []
    parameters = inspect.signature(offered).parameters.values()
    if isinstance(offered, type):
        return [each.name for each in parameters if dataclasses.is_dataclass(offered) or issubclass(offered, Struct)]
    return [each.name for each in parameters if each.default is not each.empty]


def mentions(text: str, option: str) -> bool:
    """Whether code on the page, inline or in a block, names the option."""
    code = re.findall(r"```.*?```|`[^`\n]+`", text, re.DOTALL)
    return any(re.search(rf"\b{option}\b", each) for each in code)


@pytest.mark.parametrize(("slice_", "name"), OFFERED)
def test_a_public_name_is_documented_with_every_option(slice_, name):
    page, heading = {**SHARED, **WHERE[slice_]}[name]
    text = section(DOCS / "functions" / f"{page}.md", heading)
    offered = getattr(importlib.import_module(f"distributary.{slice_}"), name)
    missing = [each for each in (name, *options(name, offered)) if not mentions(f"`{heading}`{text}", each)]
    assert not missing, f"docs/functions/{page}.md, '{heading}', does not document {', '.join(missing)}"


@pytest.mark.parametrize(("slice_", "name"), OFFERED)
def test_a_public_name_is_on_its_reference_page(slice_, name):
    own = (DOCS / "reference" / f"{REFERENCE[slice_]}.md").read_text()
    shared = (DOCS / "reference" / "stream.md").read_text()
    assert f"::: distributary.{slice_}.{name}\n" in own or name in SHARED or name in ("INSERTED", "EXPIRED")
    assert name not in SHARED or f"::: distributary.derive.{name}\n" in shared
    assert f"`{name}`" in own or f".{name}\n" in own
