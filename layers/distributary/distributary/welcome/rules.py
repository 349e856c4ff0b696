"""Declarations of messages, checked before the first change."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from distributary.errors import ConfigError, Rejected
from distributary.stream.change import Image, Kind
from distributary.stream.entity import Entity, Predicate, guarded, without_comma
from distributary.stream.keys import NAME
from distributary.welcome.channels import Channel, Ses
from distributary.welcome.messages import MOST_CHARACTERS, Content, Limits, Message, Stored, faults, filled, text_of
from distributary.welcome.triggers import INSERTED, Trigger

Again = Literal["never", "each"]
OnUnknown = Literal["park", "resend"]
Text = str | Callable[[Image], str]
"""An attribute's name, or a function of the item."""

_MAX_TAGS = 49


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One message for one kind of event of an entity's items.

    A value with a web address or a line break parks the change: it could turn your mail into an advertisement.
    Attributes in `trusted` may have both.

    Attributes:
        name: The rule's name: letters, digits, `_`, `.` and `-`.
        of: The entity.
        content: What the message says, by locale. The first locale is the default.
        to: The recipient: an attribute's name, or a function of the item that returns a string. Leave it out if the
            channel has no recipients. What is no e-mail address, or no phone number, parks the change.
        on: The event: `INSERTED`, `EXPIRED` or `became("status", "active")`.
        channel: How the message is sent: `Ses`, `Sms`, `Topic`, `EventBridge`, or a class of your own.
        locale: The attribute that names the language, or a function of the item. `de-AT` falls back to `de`, and then
            to the default.
        where: Which items send the message; all of them if None.
        consent: An attribute that must be `true`, or nothing is sent.
        again: `"never"` sends once for each item, ever. `"each"` sends at each such event of an item, for example when
            a deleted user returns.
        on_unknown: What follows if it is unknown whether a message was sent, after a crash or a lost response.
            `"park"` never sends it twice. `"resend"` sends it again, at most three times in all.
        max_age_seconds: A record that is older sends nothing; the setting `WelcomeMaxAgeSeconds` if None.
        tags: At most 49 tags for the provider, letters, digits, `_`, `.` and `-`. SES takes them as message tags
            (https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_MessageTag.html).
        id: The rule's name in its claims, which record what was sent; the `name` if None. To rename a rule, give it
            its old name as `id`; otherwise it sends its messages again.
        max_characters: The length after which a value in a message is cut, 1 to 2,000.
        trusted: Attributes that your application writes, not its users. They have up to 2,000 characters.
    """

    name: str
    of: Entity
    content: Mapping[str, Content | Stored]
    to: Text | None = None
    on: Trigger = INSERTED
    channel: type[Channel] = Ses
    locale: Text | None = None
    where: Predicate | None = None
    consent: str | None = None
    again: Again = "never"
    on_unknown: OnUnknown = "park"
    max_age_seconds: int | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    id: str | None = None
    max_characters: int = 64
    trusted: tuple[str, ...] = ()

    @property
    def claim_id(self) -> str:
        """The name under which claims know the rule."""
        return self.name if self.id is None else self.id

    def wants(self, item: Image) -> bool:
        """Whether the rule is about the item at all. Raises Rejected if a predicate fails on it."""
        if not self.of.claims(item) or (self.where is not None and not guarded("where", self.where, item)):
            return False
        return self.consent is None or (self.consent in item and item[self.consent] is True)


def compose(rule: Rule, item: Image, id: str = "") -> Message:
    """The rule's message for an item, for tests of your declarations.

    Args:
        rule: The rule.
        item: The item, such as `Image({"email": {"S": "ada@example.com"}})`.
        id: The message's id.

    Raises:
        Rejected: An attribute is missing or may not be in a message, or the recipient is none.
    """
    pattern, to = rule.channel.recipient, ""
    if pattern is not None and rule.to is not None:
        to = _text(rule.to, "to", item)
        if not pattern.fullmatch(to):
            named = f"'{rule.to}'" if isinstance(rule.to, str) else "what 'to' answers"
            raise Rejected(f"{named} is no {'phone number' if '+' in pattern.pattern[:2] else 'e-mail address'}")
    limits = Limits(rule.max_characters, frozenset(rule.trusted))
    return filled(content(rule, item), item, id, rule.name, to, rule.tags, limits)


def content(rule: Rule, item: Image) -> Content | Stored:
    """What the rule says in the item's locale, or the nearest that there is. Raises Rejected if `locale` fails."""
    default = next(iter(rule.content))
    if rule.locale is None or (isinstance(rule.locale, str) and rule.locale not in item):
        return rule.content[default]
    asked = _text(rule.locale, "locale", item)
    found = next((each for each in (asked, asked.partition("-")[0]) if each in rule.content), default)
    return rule.content[found]


def _text(given: Text, what: str, item: Image) -> str:
    if isinstance(given, str):
        return text_of(item, given)
    answer = guarded(what, given, item)
    if not isinstance(answer, str):
        raise Rejected(f"'{what}' answers {type(answer).__name__}, and should answer text")
    return answer


def check(rules: Sequence[Rule], kinds: frozenset[Kind] = frozenset(Kind)) -> tuple[Rule, ...]:
    """Checks declared rules, as the function does when it starts.

    Args:
        rules: The rules.
        kinds: The stream's event names that the function receives (setting `WelcomeEventNames`).

    Returns:
        The rules as declared.

    Raises:
        ConfigError: A rule is wrong. It names every fault of every rule.
    """
    found = [] if rules else ["no rule is declared: add one to rules.py"]
    names, ids = [rule.name for rule in rules], [rule.claim_id for rule in rules]
    for rule in rules:
        if not NAME.fullmatch(rule.name) or names.count(rule.name) > 1:
            found.append(f"rule '{rule.name}': a name is unique and made of letters, digits, '_', '.', '-'")
        if ids.count(rule.claim_id) > names.count(rule.name):
            found.append(f"rule '{rule.name}': another rule has the id '{rule.claim_id}': give each an id of its own")
        found += [f"rule '{rule.name}': {fault}" for fault in _faults(rule, kinds)]
    if found:
        raise ConfigError(found)
    return tuple(rules)


def _faults(rule: Rule, kinds: frozenset[Kind]) -> Iterator[str]:
    if commas := without_comma(keys=rule.of.keys, attributes=rule.of.attributes, trusted=rule.trusted):
        yield from commas
        return
    if not isinstance(rule.content, Mapping):
        yield "content is no dict: give one content for each locale, such as content={'en': Content(...)}"
        return
    recipient = rule.channel.recipient
    if (recipient is None) != (rule.to is None):
        wrong = "needs recipients: give 'to'" if recipient else "has no recipients: leave out 'to'"
        yield f"{rule.channel.__name__} {wrong}"
    if not rule.content:
        yield "it has no content: give one for each locale, the default first"
    for name in _named(rule):
        if name not in (*rule.of.keys, *rule.of.attributes):
            yield f"'{name}' is not declared by '{rule.of.name}'; add it or correct the name"
    for each in rule.content.values():
        yield from faults(each)
        if isinstance(each, Stored) and not rule.channel.templates:
            yield f"{rule.channel.__name__} keeps no templates: give its content itself"
    for what, given, choice in (("again", rule.again, Again), ("on_unknown", rule.on_unknown, OnUnknown)):
        if given not in get_args(choice):
            yield f"{what} is '{given}': give one of {', '.join(get_args(choice))}"
    if not NAME.fullmatch(rule.claim_id):
        yield f"id '{rule.id}' is not made of letters, digits, '_', '.', '-'"
    if not 1 <= rule.max_characters <= MOST_CHARACTERS:
        yield f"max_characters is {rule.max_characters}: give 1 to {MOST_CHARACTERS}"
    if missing := sorted(rule.on.kinds - kinds):
        yield f"it waits for {', '.join(missing)}, which the mapping leaves out: add it to WelcomeEventNames"
    if len(rule.tags) > _MAX_TAGS or not all(NAME.fullmatch(tag) for pair in rule.tags.items() for tag in pair):
        yield f"tags are at most {_MAX_TAGS}, names and values made of letters, digits, '_', '.', '-'"


def _named(rule: Rule) -> list[str]:
    """Every attribute that the rule names, each once."""
    named = [each for each in (rule.to, rule.locale, rule.consent) if isinstance(each, str)]
    for each in rule.content.values():
        named += sorted(each.fields() - {""})
    return list(dict.fromkeys([*named, *rule.on.attributes(), *rule.trusted]))
