"""Ready-made functions: what each gives, what it takes for missing, and what it refuses."""

from decimal import Decimal

import pytest

from distributary.derive import date_trunc, json_field, lower, nested, split_part
from distributary.errors import ConfigError, Rejected
from distributary.stream.change import Image
from distributary.stream.codec import encode


def image(**values):
    return Image({name: encode(value) for name, value in values.items()})


@pytest.mark.parametrize(
    ("to", "zone", "wanted"),
    [
        ("hour", "UTC", "2026-11-20T23"),
        ("hour", "Europe/Berlin", "2026-11-21T00+0100"),
        ("day", "UTC", "2026-11-20"),
        ("day", "Europe/Berlin", "2026-11-21"),
        ("day", "America/New_York", "2026-11-20"),
        ("week", "UTC", "2026-W47"),
        ("month", "Asia/Kathmandu", "2026-11"),
        ("year", "UTC", "2026"),
    ],
)
def test_a_time_is_cut_in_its_zone_however_it_is_written(to, zone, wanted):
    at = 1795217400  # 2026-11-20T23:30:00Z
    for value, unit in (
        ("2026-11-20T23:30:00Z", "seconds"),
        ("2026-11-20T23:30:00", "seconds"),
        ("2026-11-21T05:15:00.250+05:45", "seconds"),
        (at, "seconds"),
        (Decimal(f"{at}.75"), "seconds"),
        (at * 1000 + 999, "milliseconds"),
        (at * 1_000_000, "microseconds"),
    ):
        assert date_trunc("at", to, zone=zone, unit=unit)(image(at=value)) == wanted, value


def test_the_hour_that_comes_twice_is_two_hours():
    cut = date_trunc("at", "hour", zone="Europe/Berlin")
    assert cut(image(at="2026-10-25T00:30:00Z")) == "2026-10-25T02+0200"
    assert cut(image(at="2026-10-25T01:30:00Z")) == "2026-10-25T02+0100"


@pytest.mark.parametrize("value", ["soon", "2026-13-01", "", Decimal("1e30"), Decimal("-1e30"), True, [1]])
def test_what_is_no_time_is_refused(value):
    with pytest.raises(Rejected, match="date_trunc: 'at' is"):
        date_trunc("at", "day")(image(at=value))


@pytest.mark.parametrize(
    ("given", "fault"),
    [
        ({"to": "minute"}, "to is 'minute': give one of hour, day, week, month, year"),
        ({"to": "day", "zone": "Berlin"}, "no time zone is called 'Berlin'"),
        ({"to": "day", "zone": "../etc/passwd"}, "no time zone is called"),
        ({"to": "day", "zone": ""}, "no time zone is called ''"),
        ({"to": "day", "unit": "ms"}, "unit is 'ms': give one of seconds, milliseconds, microseconds"),
    ],
)
def test_an_unknown_step_zone_or_unit_is_refused_at_once(given, fault):
    with pytest.raises(ConfigError, match=fault):
        date_trunc("at", **given)


@pytest.mark.parametrize(("at", "wanted"), [(0, "CHAT"), (1, "c-7"), (-1, "OLD"), (3, None), (-3, "CHAT"), (-4, None)])
def test_a_part_of_a_key_is_counted_from_either_end(at, wanted):
    assert split_part("sk", "#", at)(image(sk="CHAT#c-7#OLD")) == wanted


def test_functions_take_what_others_give():
    week = date_trunc(split_part("sk", "#", 1), "week")
    assert week(image(sk="AT#2026-11-20T10:00:00Z")) == "2026-W47"
    assert week(image(sk="AT")) is None
    assert lower(nested("address.city"))(image(address={"city": "KÖLN"})) == "köln"


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("address.city", "Köln"),
        ("lines.1.sku", "b"),
        ("lines.2.sku", None),
        ("lines.x", None),
        ("address.zip.code", None),
        (("a.b", "c"), 1),
        ("missing.city", None),
    ],
)
def test_a_path_leads_into_maps_and_lists(path, wanted):
    item = image(address={"city": "Köln", "zip": "1"}, lines=[{"sku": "a"}, {"sku": "b"}], **{"a.b": {"c": 1}})
    assert nested(path)(item) == wanted


@pytest.mark.parametrize(
    ("path", "fault"), [("city", "leads into no attribute"), ("a..b", "empty name"), ("", "empty")]
)
def test_a_path_that_leads_nowhere_is_refused_at_once(path, fault):
    with pytest.raises(ConfigError, match=fault):
        nested(path)


def test_a_field_of_a_json_text_keeps_its_type():
    item = image(payload='{"device": {"id": "d", "load": 0.10, "up": true, "tags": ["x"]}, "n": 12345678901234567890}')
    paths = ("device.id", "device.load", "device.up", "device.tags.0", "n", "device.missing")
    found = [json_field("payload", path)(item) for path in paths]
    assert found == ["d", Decimal("0.10"), True, "x", Decimal("12345678901234567890"), None]
    assert json_field("missing", "device")(item) is None


@pytest.mark.parametrize("text", ["undefined", "{", "", "NaN", '{"a": Infinity}', "[" * 100_000])
def test_a_text_that_is_no_json_is_refused_or_missing(text):
    with pytest.raises(Rejected, match="json_field: 'payload' is no JSON") as caught:
        json_field("payload", "a")(image(payload=text))
    assert text == "" or text not in str(caught.value)
    assert json_field("payload", "a", on_error="none")(image(payload=text)) is None


def test_what_is_no_text_is_refused():
    for function in (lower("n"), split_part("n", "#", 0), json_field("n", "a")):
        with pytest.raises(Rejected, match="'n' is Decimal, and must be a string"):
            function(image(n=1))
    assert json_field("n", "a", on_error="none")(image(n=1)) is None


def test_an_empty_separator_and_an_unknown_answer_to_bad_json_are_refused():
    with pytest.raises(ConfigError, match="the separator is empty"):
        split_part("sk", "", 0)
    with pytest.raises(ConfigError, match="on_error is 'skip': give 'park' or 'none'"):
        json_field("payload", "a", on_error="skip")
