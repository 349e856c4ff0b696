"""Hostile items, each with the branches that park it; every other branch takes it as it is.

Of the messages: `mail`, `sms`, `topic` and `event` are the channels of `welcome`. A parked change is documented in
docs/limits.md and on the pages of the functions.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from distributary.stream.keys import SEPARATORS
from tests.contract.source import Table, ordinary

BRANCHES = ("derive", "ledger", "index", "mail", "sms", "topic", "event", "mirror", "multi-active", "merged")
CHANNELS = frozenset({"mail", "sms", "topic", "event"})
VIEWS = frozenset({"derive", "ledger"})
WHOLE = frozenset({"mirror", "multi-active", "merged"})
EVERY = frozenset(BRANCHES)
NOWHERE: frozenset[str] = frozenset()
BIDI = "\u202e\u2066\u200b\ufeff"
PHONE = "+441632960960"


@dataclass(frozen=True)
class Hostile:
    """`parked` are the branches that park the item; `attributes` are DynamoDB JSON, beside those of every user."""

    what: str
    parked: frozenset[str] = NOWHERE
    attributes: Mapping[str, Any] = field(default_factory=dict)
    pk: str = ""
    sk: str = "sentinel"


def named(what: str, name: str, parked: frozenset[str] = NOWHERE) -> Hostile:
    """An item with this name."""
    return Hostile(what, parked, {"name": {"S": name}})


def addressed(what: str, email: str) -> Hostile:
    """An item with this e-mail address, which no mail is sent to."""
    return Hostile(what, frozenset({"mail"}), {"email": {"S": email}})


def called(what: str, phone: str) -> Hostile:
    """An item with this phone number, which no text is sent to."""
    return Hostile(what, frozenset({"sms"}), {"phone": {"S": phone}})


def keyed(what: str, pk: str, sk: str = "sentinel", parked: frozenset[str] = NOWHERE) -> Hostile:
    """An item with this key."""
    return Hostile(what, parked, pk=pk, sk=sk)


def numbered(what: str, number: str, parked: frozenset[str] = NOWHERE) -> Hostile:
    """An item with this balance."""
    return Hostile(what, parked, {"balance": {"N": number}})


def deep(levels: int) -> dict[str, Any]:
    """A list in a list, so many times."""
    value: dict[str, Any] = {"S": "sentinel"}
    for _ in range(levels):
        value = {"L": [value]}
    return value


ITEMS = (
    named("a link in the name", "sentinel https://evil.example/win", CHANNELS),
    named("a host in the name", "sentinel, see WWW.evil.example", CHANNELS),
    named("a link in wide characters", "sentinel http\uff1a\uff0f\uff0fevil.example", CHANNELS),
    named("a header behind CRLF in the name", "sentinel\r\nBcc: all@evil.example", CHANNELS),
    named("a line separator in the name", "sentinel\u2028Bcc: all@evil.example", CHANNELS),
    named("lines of a bulk request in the name", 'sentinel"}\n{"delete":{"_id":"x"}}\n', CHANNELS),
    named("a script in the name", "<script>alert('sentinel')</script>"),
    named("an attribute of HTML in the name", '"><img src=x onerror="sentinel()">'),
    named("templates in the name", "{{email}} {email} ${jndi:ldap} %s sentinel"),
    named("a query in the name", "'; DROP TABLE sentinel; -- #status = :status"),
    named("a formula in the name", "=HYPERLINK(sentinel)"),
    named("control and direction characters in the name", f"sentinel\x00\x1b[31m{BIDI}\x7f"),
    named("2,000 characters in the name", "sentinel " * 250, frozenset({"ledger"})),
    named("letters of many planes in the name", "sentinel \U0001f469\u200d\U0001f4bb e\u0301 \U0001d4d0 \u0628"),
    named("nothing in the name", ""),
    Hostile("a map for a name", CHANNELS | {"ledger", "index"}, {"name": {"M": {"sentinel": {"S": "x"}}}}),
    named("half a character in the name", "sentinel \ud800", EVERY),
    addressed("a header behind CRLF in the address", "sentinel@evil.example\r\nBcc: x@example.com"),
    addressed("two addresses", "sentinel@evil.example,x@example.com"),
    addressed("a display name in the address", "Sentinel <sentinel@evil.example> x@example.com"),
    addressed("an address in Cyrillic", "s\u0435ntinel@example.com"),
    called("a premium number", "+449011234567"),
    called("a satellite number", "+881612345678"),
    called("a number of another country", "+15551234567"),
    called("two numbers", f"{PHONE},+449011234567"),
    keyed("every separator in the key", f"sentinel{SEPARATORS}", SEPARATORS),
    keyed("a NUL in the key", "sentinel\x00", "\x00"),
    keyed("a path in the key", "../../sentinel", ".."),
    keyed("a separator at the end of one part", "sentinel/a", "b"),
    keyed("a separator at the start of the other", "sentinel", "a/b"),
    keyed("an escaped separator", "sentinel%2Fa", "b"),
    keyed("the escape of an escape", "sentinel%252Fa", "b"),
    keyed("the longest key", f"sentinel{'/' * 2040}", "/" * 1024, VIEWS),
    keyed("half a character in the key", "sentinel\ud800", "sentinel", EVERY),
    numbered("38 digits", "27182818284590452312345678901234567890"),
    numbered("the largest number", "2.7182818284590452309E+125"),
    numbered("the smallest number", "2.71828182845904523E-107"),
    numbered("minus zero", "-0"),
    numbered("39 digits", "271828182845904523123456789012345678901", VIEWS | WHOLE | {"index"}),
    Hostile("every separator in a set", NOWHERE, {"tags": {"SS": ["sentinel", *SEPARATORS, "\x00", "..", "%"]}}),
    Hostile("2,000 levels", VIEWS | WHOLE, {"nested": {"S": "sentinel"}}),
    Hostile("2,000 levels of JSON", frozenset({"index"}), {"specs": {"S": "[" * 2000 + '"sentinel"' + "]" * 2000}}),
    Hostile("2,000 keys", frozenset({"index"}), {"more": {"M": {f"sentinel{n}": {"S": "x"} for n in range(2000)}}}),
    Hostile(
        "names of attributes",
        NOWHERE,
        {f"sentinel {name}": {"S": "x"} for name in ("#status", ":status", "a.b[0]", "__proto__", "_id", "%", "'\"")},
    ),
    Hostile(
        "a script for an engine", NOWHERE, {"specs": {"S": json.dumps({"ctx._source.sentinel": "ctx.op='delete'"})}}
    ),
)


class HostileTable(Table):
    """Its users are the hostile items; those behind them are ordinary."""

    def key(self, user: int) -> dict[str, Any]:
        """See `Table`."""
        item = ITEMS[user] if user < len(ITEMS) else Hostile("ordinary")
        return {"pk": {"S": item.pk or f"sentinel-{user}"}, "sk": {"S": item.sk}}


HOSTILE = HostileTable("hostile", {"pk": "S", "sk": "S"})


def attributes(user: int) -> dict[str, Any]:
    """What the item of this user holds beside its key."""
    common = {"name": {"S": "sentinel"}, "phone": {"S": PHONE}, **ordinary(user)}
    return {**common, **(ITEMS[user].attributes if user < len(ITEMS) else {})}
