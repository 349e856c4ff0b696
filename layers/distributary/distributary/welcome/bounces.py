"""SES's events, as SNS brings them: permanent bounces and complaints are remembered."""

import json
from collections.abc import Iterator
from typing import Any

from aws_lambda_powertools import Logger

from distributary.errors import Rejected
from distributary.welcome.suppressions import Suppressions

PERMANENT = "Permanent"

VALIDATION = "Successfully validated SNS topic for Amazon SES event publishing."
"""What SES sends as plain text to a new topic."""


def suppress(event: Any, suppressions: Suppressions) -> None:
    """Adds every recipient of each permanent bounce or complaint. Logs how many, and no address.

    Raises Rejected, after all others are done, for a notification that is none of SES's; Unavailable.
    https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html
    """
    faults, many = [], 0
    for record in event["Records"]:
        try:
            message = record["Sns"]["Message"]
            found = [] if message.strip() == VALIDATION else list(recipients(json.loads(message)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            faults.append(type(error).__name__)
            continue
        for address, reason in found:
            suppressions.add(address, reason)
        many += len(found)
    Logger().info("suppressed", addresses=many)
    if faults:
        raise Rejected(f"{len(faults)} of {len(event['Records'])} notifications are no events of SES: {faults[0]}")


def recipients(notification: Any) -> Iterator[tuple[str, str]]:
    """Addresses and reasons of one event; none for a transient bounce or another kind of event."""
    kind = notification.get("eventType") or notification["notificationType"]
    if kind == "Bounce" and notification["bounce"]["bounceType"] == PERMANENT:
        for each in notification["bounce"]["bouncedRecipients"]:
            yield _plain(each["emailAddress"]), "bounce"
    elif kind == "Complaint":
        for each in notification["complaint"]["complainedRecipients"]:
            yield _plain(each["emailAddress"]), "complaint"


def _plain(address: str) -> str:
    """Out of `Ada <ada@example.com>`, too."""
    return address.strip().rpartition("<")[2].rstrip(">").strip()
