"""An SES v2 client that keeps what it sent."""

from typing import Any

from botocore.exceptions import ReadTimeoutError

from tests.fakes.answers import refusal

THROTTLED = refusal("SendEmail", "TooManyRequestsException", "Maximum sending rate exceeded", 429)
BROKEN = refusal("SendEmail", "InternalServiceErrorException", "oops", 500)
UNANSWERED = ReadTimeoutError(endpoint_url="https://email")


class Ses:
    """`state` is the messages that went out, in order, each `(to, subject, text)`."""

    def __init__(self) -> None:
        self.state: list[tuple[str, str, str]] = []

    def send_email(self, *, FromEmailAddress: str, Destination: Any, Content: Any) -> dict[str, Any]:
        """https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html"""
        (to,) = Destination["ToAddresses"]
        if to.endswith("@suppressed.example"):
            raise refusal("SendEmail", "MessageRejected", "Email address is on the suppression list")
        simple = Content["Simple"]
        self.state.append((to, simple["Subject"]["Data"], simple["Body"]["Text"]["Data"]))
        return {"MessageId": f"message-{len(self.state)}"}
