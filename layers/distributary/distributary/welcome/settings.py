"""The settings of the functions welcome and suppress."""

import re
from dataclasses import dataclass

from distributary.consumer.settings import STREAM_DAYS, Optional, StreamSettings, matching, setting, table_name, whole
from distributary.stream.change import Kind

_address = matching(r"[^\s<>@\x00-\x1f]+@[A-Za-z0-9.-]+", "a plain e-mail address, verified with SES")
_name = matching(r"[A-Za-z0-9_.-]{1,64}", "a name of letters, digits, '_', '.', '-'")
_topic = matching(r"arn:[^\s]+:sns:[^\s]+:[A-Za-z0-9_-]{1,256}", "an SNS topic's ARN")
_bus = matching(r"[A-Za-z0-9_./-]{1,256}|arn:[^\s]+:event-bus/[A-Za-z0-9_./-]{1,256}", "an event bus's name or ARN")


def _rate(text: str) -> float:
    if not re.fullmatch(r"[0-9]{1,6}(\.[0-9]{1,3})?", text) or not float(text):
        raise ValueError("give messages per second, more than 0, such as 14")
    return float(text)


def _kinds(text: str) -> frozenset[Kind]:
    names = text.split(",")
    if unknown := sorted(set(names) - set(Kind)):
        raise ValueError(f"give some of {', '.join(Kind)}, parted by commas alone, not {', '.join(unknown)}")
    return frozenset(map(Kind, names))


def _calling_codes(text: str) -> tuple[str, ...]:
    codes = tuple(text.split(","))
    if wrong := [code for code in codes if not re.fullmatch(r"\+[1-9][0-9]{0,5}", code)]:
        raise ValueError(f"give calling codes such as +49,+43, parted by commas alone, not {', '.join(wrong)}")
    return codes


@dataclass(frozen=True, slots=True, kw_only=True)
class WelcomeSettings(StreamSettings):
    """The claim of a rule with `again="each"` is kept for `claims_kept_days`; a record older than
    `max_age_seconds` sends nothing. `send_rate` is messages per second, of all execution environments together, of
    which there are `concurrency` at most; `event_names` are what the mapping lets through. Text messages go to
    phone numbers that begin with one of `sms_calling_codes`, such as "+49" or "+1242", and to no others."""

    claim_table: str = setting("CLAIM_TABLE", table_name)
    claim_days: int = setting("CLAIM_DAYS", whole(STREAM_DAYS + 1, 3650))
    parking_days: int = setting("PARKING_DAYS", Optional(whole(1, 3650), 0))
    max_age_seconds: int = setting("MAX_AGE_SECONDS", whole(60, 86_400))
    event_names: frozenset[Kind] = setting("EVENT_NAMES", _kinds)
    send_rate: float = setting("SEND_RATE", _rate)
    concurrency: int = setting("CONCURRENCY", whole(1, 1000))
    sender: str = setting("SENDER", _address)
    reply_to: str = setting("REPLY_TO", Optional(_address))
    configuration_set: str = setting("CONFIGURATION_SET", Optional(_name))
    topic_arn: str = setting("TOPIC_ARN", Optional(_topic))
    sms_calling_codes: tuple[str, ...] = setting("SMS_CALLING_CODES", Optional(_calling_codes, ()))
    event_bus: str = setting("EVENT_BUS", Optional(_bus))

    @property
    def claims_kept_days(self) -> int:
        """See `claims_kept_days`."""
        return claims_kept_days(self.claim_days, self.parking_days)


def claims_kept_days(claim_days: int, parking_days: int) -> int:
    """As long as asked, and as long as the record may be parked: a redrive without the claim could send it again. Its
    stream delivers it for a day, so it is parked up to a day after the claim was made. 0 `parking_days`: not known."""
    return max(claim_days, parking_days + STREAM_DAYS if parking_days else 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SuppressSettings:
    """Where bounces and complaints are remembered."""

    claim_table: str = setting("CLAIM_TABLE", table_name)
