"""A message goes to one address and says what was declared: no value adds a header or a recipient."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distributary.change import Image
from distributary.errors import ConfigError, Rejected
from distributary.rules import ADDRESS, Rule, check, compose
from distributary.views import Entity

USER = Entity(name="user", keys=("user_id",), attributes=("email", "name", "visits"))


def rule(**changes):
    parts = {"name": "welcome", "of": USER, "to": "email", "subject": "Welcome, {name}", "text": "Hello {name}!"}
    return Rule(**{**parts, **changes})


def item(**attributes):
    return Image({"user_id": {"S": "u-1"}, "email": {"S": "ada@example.com"}, "name": {"S": "Ada"}, **attributes})


def test_a_message_is_what_the_rule_says():
    message = compose(rule(), item())
    assert (message.to, message.subject, message.text) == ("ada@example.com", "Welcome, Ada", "Hello Ada!")


def test_a_name_is_no_room_for_a_message_of_its_own():
    message = compose(rule(), item(name={"S": "Ada\n\nYou have won: " + "x" * 1000}))
    assert "\n" not in message.text
    assert len(message.text) < 250


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
    subject = compose(rule(), item(name={"S": name})).subject
    assert len(subject.splitlines()) == 1
    assert not any(ord(character) < 0x20 or 0x7F <= ord(character) < 0xA0 for character in subject)


@pytest.mark.parametrize(
    "hidden", ["\r\nBcc: all@example.com", "\u2028", "\u2029", "\x85", "\u202e", "\u200b", "\ufeff"]
)
def test_hidden_characters_in_a_subject_become_spaces(hidden):
    assert compose(rule(), item(name={"S": f"Ada{hidden}"})).subject.startswith("Welcome, Ada ")


def test_a_value_is_never_taken_for_a_template():
    assert compose(rule(), item(name={"S": "{email} {user_id.__class__}"})).text == "Hello {email} {user_id.__class__}!"


def test_a_number_is_written_with_every_digit():
    made = compose(rule(text="Visit {visits}"), item(visits={"N": "12345678901234567890123456789012345678"}))
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
        ({"to": "mail"}, "'mail' is not declared by 'user'; add it"),
        ({"to": ""}, "write a field as {name}"),
        ({"subject": "Hi {nick}"}, "'nick' is not declared by 'user'"),
        ({"text": "Hi {nick}"}, "'nick' is not declared by 'user'"),
        ({"text": "Hi {}"}, "write a field as {name}"),
        ({"text": "Hi {name!r}"}, "write a field as {name}"),
        ({"text": "Hi {name:>9}"}, "write a field as {name}"),
        ({"text": "Hi {name.__class__}"}, "'name.__class__' is not declared"),
        ({"text": "Hi {name"}, "template 'Hi {name'"),
    ],
)
def test_a_faulty_rule_is_refused_by_name(changes, fault):
    with pytest.raises(ConfigError) as caught:
        check([rule(**changes)])
    assert any(fault in each for each in caught.value.faults), caught.value.faults


def test_every_fault_of_every_rule_is_named_at_once():
    with pytest.raises(ConfigError) as caught:
        check([rule(to="mail", text="{nick}"), rule(subject="{")])
    assert len(caught.value.faults) == 5


def test_no_rule_at_all_is_a_fault():
    with pytest.raises(ConfigError, match="no rule is declared"):
        check([])
