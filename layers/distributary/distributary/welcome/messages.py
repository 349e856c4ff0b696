"""What a message says: declared texts filled with an item's attributes, none of which can break out of its place."""

import html
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from distributary.errors import ConfigError, Rejected
from distributary.stream.change import Image
from distributary.stream.codec import number_text
from distributary.stream.struct import Struct, field

ADDRESS = re.compile(r"(?=.{3,254}\Z)[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")
"""An addr-spec of plain ASCII, 254 characters at most: nothing in it can end a header or add a second recipient."""

PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
"""E.164: https://docs.aws.amazon.com/sns/latest/dg/sns-mobile-phone-number-as-subscriber.html"""

_FIELD = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
MOST_CHARACTERS = 2000
"""The limit of any value in a message."""

_ADVERTISES = re.compile(r"://|\bwww\.|[\n\v\f\r\x85\u2028\u2029]", re.IGNORECASE)
"""A web address or a line break."""

_HIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


@dataclass(frozen=True, slots=True)
class Content:
    """Texts with an entity's attributes in double braces, such as `Welcome, {{name}}`. An attribute must be a string or
    a number; if the item lacks it, the change is parked.

    Attributes:
        subject: The subject, one line.
        text: The message as plain text.
        html: The message as HTML, in which values are escaped; None for a message without HTML.
    """

    subject: str
    text: str
    html: str | None = None

    def fields(self) -> set[str]:
        """The attributes that the templates name."""
        return {name for part in (self.subject, self.text, self.html or "") for name in _FIELD.findall(part)}


@dataclass(frozen=True, slots=True)
class Stored:
    """A template that the provider keeps
    (https://docs.aws.amazon.com/ses/latest/dg/send-personalized-email-api.html).

    Attributes:
        name: The template's name.
        values: The attributes that fill it. SES escapes nothing, so `{{name}}` is the value escaped for HTML, and
            `{{name_text}}` the value as it is, for the subject and the text.
    """

    name: str
    values: tuple[str, ...] = ()

    def fields(self) -> set[str]:
        """The attributes that it is filled with."""
        return set(self.values)


class Message(Struct, frozen=True):
    """One message to one recipient.

    Attributes:
        id: The same at every try. Give it to a provider that removes duplicates.
        rule: The rule's name.
        to: The recipient; empty if the channel has none.
        subject: The filled subject.
        text: The filled text.
        html: The filled HTML, or None.
        stored: The name of the provider's template, or None. With a template, the three texts are empty.
        values: The values that fill the texts or the template, by attribute.
        tags: The rule's tags.
        event: The id of the change that it is about, for `distributary trace`; empty outside the function.
    """

    id: str
    rule: str
    to: str
    subject: str = ""
    text: str = ""
    html: str | None = None
    stored: str | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    event: str = ""


class Limits(Struct, frozen=True):
    """Of the values in a message: `characters` of each, and no web address or line break but in `trusted` attributes,
    which the application writes, not its users."""

    characters: int = 64
    trusted: frozenset[str] = frozenset()


LIMITS = Limits()


def filled(
    content: Content | Stored,
    item: Image,
    id: str,
    rule: str,
    to: str,
    tags: Mapping[str, str],
    limits: Limits = LIMITS,
) -> Message:
    """The content for an item. Raises Rejected for an attribute that is missing, is no text, or exceeds its limits."""
    values = {name: shown(item, name, limits) for name in sorted(content.fields())}
    escaped = {name: html.escape(value) for name, value in values.items()}
    if isinstance(content, Stored):
        plain = {f"{name}_text": value for name, value in values.items()}
        return Message(id, rule, to, stored=content.name, values={**escaped, **plain}, tags=tags)
    return Message(
        id,
        rule,
        to,
        _HIDDEN.sub(" ", _fill(content.subject, values)),
        _fill(content.text, values),
        None if content.html is None else _fill(content.html, escaped),
        values=values,
        tags=tags,
    )


def shown(item: Image, name: str, limits: Limits) -> str:
    """An attribute as it is written into a message: one line within its limits. Raises Rejected."""
    text = text_of(item, name)
    if name in limits.trusted:
        if len(text) > MOST_CHARACTERS:
            raise Rejected(f"'{name}' has {len(text)} characters, and may have {MOST_CHARACTERS}")
        return _HIDDEN.sub(" ", text)
    if _ADVERTISES.findall(unicodedata.normalize("NFKC", text)):
        raise Rejected(f"'{name}' holds a web address or a line break: name it in `trusted` if no user can write it")
    return _HIDDEN.sub(" ", text)[: limits.characters]


def text_of(item: Image, name: str) -> str:
    """An attribute as text; attributes of the user's own naming are looked up, never evaluated. Raises Rejected."""
    if name not in item:
        raise Rejected(f"the item has no attribute '{name}'")
    value = item[name]
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return number_text(value)
    raise Rejected(f"'{name}' is neither a string nor a number")


def faults(content: Content | Stored) -> Iterator[str]:
    """What is wrong with the templates themselves."""
    parts = (content.subject, content.text, content.html or "") if isinstance(content, Content) else ()
    for part in parts:
        rest = _FIELD.sub("", part)
        if "{{" in rest or "}}" in rest or "" in _FIELD.findall(part):
            yield f"template '{part[:40]}': write a field as {{{{name}}}}"


def contents(folder: Path) -> dict[str, Content]:
    """Reads the contents of a folder: for each locale `en.subject.txt`, `en.txt`, and `en.html` if there is one.

    Args:
        folder: The folder. Its file `default` holds the name of the default locale; without it, the first in
            alphabetical order is the default.

    Returns:
        The contents by locale, the default first, as `Rule.content` takes them.

    Raises:
        ConfigError: There is no subject in the folder, a text is missing, or `default` names no locale.
    """
    names = sorted(path.name.removesuffix(".subject.txt") for path in folder.glob("*.subject.txt"))
    missing = [f"{folder.name}/{name}.txt is missing: write the text" for name in names if not _at(folder, name)]
    if not names or missing:
        raise ConfigError(missing or f"{folder.name}: there is no *.subject.txt in this folder of templates")
    default = (folder / "default").read_text().strip() if (folder / "default").exists() else names[0]
    if default not in names:
        raise ConfigError(f"{folder.name}/default names '{default}', for which there is no template")
    return {name: _read(folder, name) for name in sorted(names, key=lambda name: (name != default, name))}


def _at(folder: Path, name: str) -> bool:
    return (folder / f"{name}.txt").exists()


def _read(folder: Path, name: str) -> Content:
    html = folder / f"{name}.html"
    subject, text = (folder / f"{name}{ending}" for ending in (".subject.txt", ".txt"))
    return Content(subject.read_text().strip(), text.read_text(), html.read_text() if html.exists() else None)


def _fill(template: str, values: Mapping[str, str]) -> str:
    return _FIELD.sub(lambda match: values[match[1]], template)
