"""A message goes to one address and says what was declared: no value adds a header or a recipient."""

from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributary.errors import ConfigError, Rejected
from distributary.stream.change import Image, Kind
from distributary.stream.entity import Entity
from distributary.welcome.channels import Sms, Topic
from distributary.welcome.messages import ADDRESS, Content, Stored, contents
from distributary.welcome.rules import Rule, check, compose
from distributary.welcome.triggers import EXPIRED, became

USER = Entity(name="user", keys=("user_id",), attributes=("email", "name", "visits", "language", "news"))


def rule(subject="Welcome, {{name}}", text="Hello {{name}}!", html=None, **changes):
    parts = {"name": "welcome", "of": USER, "to": "email", "content": {"en": Content(subject, text, html)}}
    return Rule(**{**parts, **changes})


def item(**attributes):
    return Image({"user_id": {"S": "u-1"}, "email": {"S": "ada@example.com"}, "name": {"S": "Ada"}, **attributes})


def test_a_message_is_what_the_rule_says():
    message = compose(rule(), item())
    assert (message.to, message.subject, message.text) == ("ada@example.com", "Welcome, Ada", "Hello Ada!")


def test_a_name_is_no_room_for_a_message_of_its_own():
    assert compose(rule(), item(name={"S": "x" * 1000})).text == f"Hello {'x' * 64}!"
    assert compose(rule(max_characters=9), item(name={"S": "x" * 1000})).text == f"Hello {'x' * 9}!"


ADVERTISING = [
    "You have won https://evil.example",
    "HTTP://evil.example",
    "see www.evil.example",
    "WWW.evil.example",
    "ｗｗｗ．evil.example",
    "http：／／evil.example",
    "Ada\n\nYou have won",
    "Ada\r\nBcc: all@example.com",
    "Ada\u2028You",
    "Ada\x85You",
]


@pytest.mark.parametrize("name", ADVERTISING)
def test_a_value_with_an_address_or_a_line_break_sends_nothing(name):
    with pytest.raises(Rejected, match="'name' holds a web address or a line break"):
        compose(rule(), item(name={"S": name}))


def test_a_trusted_attribute_may_hold_an_address_of_its_full_length():
    link = "https://example.com/reset/" + "x" * 500
    assert link in compose(rule(trusted=("name",)), item(name={"S": link})).text
    with pytest.raises(Rejected, match="'name' has 2001 characters"):
        compose(rule(trusted=("name",)), item(name={"S": "x" * 2001}))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"max_characters": 0}, "max_characters is 0: give 1 to 2000"),
        ({"trusted": "name"}, r"write trusted=\('name',\), with the comma"),
        ({"trusted": ("link",)}, "'link' is not declared"),
        ({"id": "%x"}, "id '%x' is not made of"),
    ],
)
def test_a_wrong_limit_or_id_is_a_fault_of_the_rule(changes, fault):
    with pytest.raises(ConfigError, match=fault):
        check([rule(**changes)])


def test_two_rules_cannot_share_their_claims():
    with pytest.raises(ConfigError, match="another rule has the id 'welcome'"):
        check([rule(), rule(name="hello", id="welcome")])


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ada",
        "ada@localhost",
        "@example.com",
        "ada@",
        "ada@example.com\r\nBcc: all@example.com",
        "ada@example.com\n",
        "ada@example.com\u2028Bcc: all@example.com",
        "ada@example.com\x85",
        "ada@example.com\x00",
        "ada@example.com,eve@example.com",
        "ada@example.com, eve@example.com",
        "ada@example.com;eve@example.com",
        "ada@example.com eve@example.com",
        "Ada <ada@example.com>",
        '"Ada" <ada@example.com>',
        "<ada@example.com>",
        "ada@example.com (Ada)",
        "ada@eve@example.com",
        " ada@example.com",
        "ada@exa mple.com",
        "ada@[127.0.0.1]",
        "ada@exämple.com",
        "ädä@example.com",
        "ada@example..com",
        "ada@.example.com",
        "ada@example.com.",
        "a" * 65 + "@example.com",
        "ada@" + "a." * 125 + "com",
    ],
)
def test_what_is_no_single_plain_address_is_rejected(address):
    with pytest.raises(Rejected) as caught:
        compose(rule(), item(email={"S": address}))
    assert str(caught.value) == "'email' is no e-mail address"


@pytest.mark.parametrize("address", ["a@b.co", "o'hara+tag@mail.example.co.uk", "a.b_c-d@x-y.example.com"])
def test_a_plain_address_is_taken(address):
    assert compose(rule(), item(email={"S": address})).to == address


@given(st.text(st.sampled_from("ab@.,;<> \r\n\t\0\x85\u2028\"'\\:()[]"), max_size=30))
def test_no_address_holds_what_ends_a_header_or_begins_a_recipient(text):
    if ADDRESS.fullmatch(text):
        assert not set(text) & set(',;<> \r\n\t\0\x85\u2028"\\:()[]')
        assert text.count("@") == 1


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_no_name_breaks_the_subject_s_line(name):
    subject = compose(rule(trusted=("name",)), item(name={"S": name})).subject
    assert len(subject.splitlines()) == 1
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in subject)


@pytest.mark.parametrize("hidden", ["\t", "\x00", "\u202e", "\u200b", "\ufeff"])
def test_hidden_characters_in_a_subject_become_spaces(hidden):
    assert compose(rule(), item(name={"S": f"Ada{hidden}"})).subject.startswith("Welcome, Ada ")


def test_a_value_is_never_taken_for_a_template():
    made = compose(rule(html="<p>{{name}}</p>"), item(name={"S": "{{email}} {user_id.__class__}"}))
    assert made.text == "Hello {{email}} {user_id.__class__}!"
    assert made.html == "<p>{{email}} {user_id.__class__}</p>"


def test_a_number_is_written_with_every_digit():
    made = compose(rule(text="Visit {{visits}}"), item(visits={"N": "12345678901234567890123456789012345678"}))
    assert made.text == "Visit 12345678901234567890123456789012345678"


@pytest.mark.parametrize(
    ("attributes", "cause"),
    [
        ({"name": {"NULL": True}}, "'name' is neither a string nor a number"),
        ({"name": {"B": "AA=="}}, "'name' is neither a string nor a number"),
        ({"email": {"N": "7"}}, "'email' is no e-mail address"),
        ({"email": {"SS": ["ada@example.com"]}}, "'email' is neither a string nor a number"),
        ({"email": {"X": "?"}}, "attribute 'email'"),
    ],
)
def test_an_item_that_fills_no_message_is_rejected(attributes, cause):
    with pytest.raises(Rejected) as caught:
        compose(rule(), item(**attributes))
    assert cause in str(caught.value)


@pytest.mark.parametrize("missing", ["email", "name"])
def test_a_missing_attribute_is_rejected_by_name(missing):
    raw = {name: typed for name, typed in item().raw.items() if name != missing}
    with pytest.raises(Rejected, match=f"no attribute '{missing}'"):
        compose(rule(), Image(raw))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"name": "two words"}, "a name is unique"),
        ({"name": ""}, "a name is unique"),
        ({"to": "mail"}, "'mail' is not declared by 'user'; add it or correct the name"),
        ({"to": ""}, "'' is not declared by 'user'"),
        ({"to": None}, "Ses needs recipients: give 'to'"),
        ({"channel": Topic}, "Topic has no recipients: leave out 'to'"),
        ({"subject": "Hi {{nick}}"}, "'nick' is not declared by 'user'"),
        ({"text": "Hi {{nick}}"}, "'nick' is not declared by 'user'"),
        ({"html": "<p>{{nick}}</p>"}, "'nick' is not declared by 'user'"),
        ({"text": "Hi {{}}"}, "write a field as {{name}}"),
        ({"text": "Hi {{name!r}}"}, "'name!r' is not declared"),
        ({"text": "Hi {{name.__class__}}"}, "'name.__class__' is not declared"),
        ({"text": "Hi {{name"}, "write a field as {{name}}"),
        ({"text": "Hi {{{{name}}}}"}, "write a field as {{name}}"),
        ({"locale": "tongue"}, "'tongue' is not declared by 'user'"),
        ({"consent": "wants"}, "'wants' is not declared by 'user'"),
        ({"on": became("state", "active")}, "'state' is not declared by 'user'"),
        ({"content": {}}, "it has no content"),
        ({"content": Content("Hi", "Hello")}, "content is no dict: give one content for each locale, such as content="),
        ({"content": {"en": Stored("x", ("nick",))}}, "'nick' is not declared by 'user'"),
        ({"content": {"en": Stored("x")}, "channel": Sms}, "Sms keeps no templates"),
        ({"again": "always"}, "again is 'always': give one of never, each"),
        ({"on_unknown": "ignore"}, "on_unknown is 'ignore': give one of park, resend"),
        ({"tags": {"a b": "c"}}, "tags are"),
        ({"tags": {f"t{n}": "v" for n in range(50)}}, "tags are at most 49"),
    ],
)
def test_a_faulty_rule_is_refused_by_name(changes, fault):
    with pytest.raises(ConfigError) as caught:
        check([rule(**changes)])
    assert any(fault in each for each in caught.value.faults), caught.value.faults


def test_every_fault_of_every_rule_is_named_at_once():
    with pytest.raises(ConfigError) as caught:
        check([rule(to="mail", text="{{nick}}"), rule(subject="{{")])
    assert len(caught.value.faults) == 5


def test_no_rule_at_all_is_a_fault():
    with pytest.raises(ConfigError, match="no rule is declared"):
        check([])


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_no_value_adds_to_the_html(name):
    made = compose(rule(html='<a title="{{name}}">{{name}}</a>', trusted=("name",)), item(name={"S": name})).html

    class Seen(HTMLParser):
        def __init__(self):
            super().__init__()
            self.tags, self.words = [], ""

        def handle_starttag(self, tag, attrs):
            self.tags.append((tag, [each for each, _ in attrs]))

        def handle_data(self, data):
            self.words += data

    seen = Seen()
    seen.feed(made)
    seen.close()
    assert seen.tags == [("a", ["title"])]


def test_a_stored_template_gets_its_values_escaped_and_once_more_as_they_are():
    made = compose(rule(content={"en": Stored("hello", ("name",))}), item(name={"S": "<b>Ada & Co</b>"}))
    assert made.stored == "hello"
    assert made.values == {"name": "&lt;b&gt;Ada &amp; Co&lt;/b&gt;", "name_text": "<b>Ada & Co</b>"}


def test_a_stored_template_s_missing_value_is_rejected_by_name():
    with pytest.raises(Rejected, match="no attribute 'visits'"):
        compose(rule(content={"en": Stored("hello", ("visits",))}), item())


@pytest.mark.parametrize(
    ("language", "subject"),
    [("de", "Hallo"), ("de-AT", "Hallo"), ("en-GB", "Hello, dear"), ("fr", "Hello"), ("", "Hello"), ("../de", "Hello")],
)
def test_a_locale_falls_back_to_its_language_and_then_to_the_first(language, subject):
    spoken = {"en": "Hello", "de": "Hallo", "en-GB": "Hello, dear"}
    declared = rule(locale="language", content={name: Content(each, "x") for name, each in spoken.items()})
    assert compose(declared, item(language={"S": language})).subject == subject


def test_an_item_without_a_language_gets_the_first():
    declared = rule(locale="language", content={"en": Content("Hello", "x"), "de": Content("Hallo", "x")})
    assert compose(declared, item()).subject == "Hello"


def test_recipient_and_locale_may_be_functions_of_the_item():
    declared = rule(to=lambda item: f"{item['name']}@example.com".lower(), locale=lambda item: "en")
    assert compose(declared, item()).to == "ada@example.com"


@pytest.mark.parametrize("to", [lambda item: item["nothing"], lambda item: 7, lambda item: "no address"])
def test_a_function_that_names_no_recipient_rejects_the_item(to):
    with pytest.raises(Rejected):
        compose(rule(to=to), item())


@pytest.mark.parametrize("number", ["+441632960960", "+15005550006"])
def test_a_phone_number_is_e164(number):
    declared = rule(channel=Sms, to="name")
    assert compose(declared, item(name={"S": number})).to == number
    for wrong in (number[1:], f"{number}\n", f"{number} ", "+0123456789", "+1", "++15005550006"):
        with pytest.raises(Rejected, match="'name' is no phone number"):
            compose(declared, item(name={"S": wrong}))


@pytest.mark.parametrize(
    ("news", "wanted"),
    [({"BOOL": True}, True), ({"BOOL": False}, False), ({"S": "true"}, False), ({"N": "1"}, False), (None, False)],
)
def test_only_who_agreed_is_written_to(news, wanted):
    assert rule(consent="news").wants(item(**({"news": news} if news else {}))) is wanted


def test_a_rule_that_waits_for_what_the_mapping_leaves_out_is_a_fault():
    with pytest.raises(ConfigError, match=r"waits for REMOVE.*WelcomeEventNames"):
        check([rule(on=EXPIRED)], frozenset({Kind.INSERT}))


def test_the_deployed_templates_are_whole_and_the_first_is_the_default():
    found = contents(Path(__file__).parents[2] / "functions/welcome/templates/welcome")
    assert list(found) == ["en", "de"]
    assert all(each.html for each in found.values())


def test_a_folder_without_a_text_or_with_a_wrong_default_is_told_by_name(tmp_path):
    with pytest.raises(ConfigError, match=r"no \*\.subject\.txt"):
        contents(tmp_path)
    (tmp_path / "en.subject.txt").write_text("Hello")
    with pytest.raises(ConfigError, match=r"en\.txt is missing"):
        contents(tmp_path)
    (tmp_path / "en.txt").write_text("Hello")
    (tmp_path / "default").write_text("de")
    with pytest.raises(ConfigError, match="names 'de'"):
        contents(tmp_path)
