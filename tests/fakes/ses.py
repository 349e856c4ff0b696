"""An SES v2 client that keeps what it sent."""

from typing import Any

from botocore.exceptions import ReadTimeoutError

from tests.fakes.answers import refusal

THROTTLED = refusal("SendEmail", "TooManyRequestsException", "Maximum sending rate exceeded", 429)
BROKEN = refusal("SendEmail", "InternalServiceErrorException", "oops", 500)
UNANSWERED = ReadTimeoutError(endpoint_url="https://email")


class Ses:
    """`state` is the messages that went out, in order, each `(to, subject, text)`; `requests` all of what was asked."""

    def __init__(self) -> None:
        self.state: list[tuple[str, str, str]] = []
        self.requests: list[dict[str, Any]] = []

    def send_email(self, *, FromEmailAddress: str, Destination: Any, Content: Any, **more: Any) -> dict[str, Any]:
        """https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html"""
        (to,) = Destination["ToAddresses"]
        if to.endswith("@suppressed.example"):
            raise refusal("SendEmail", "MessageRejected", "Email address is on the suppression list")
        self.requests.append({"FromEmailAddress": FromEmailAddress, "Content": Content, **more})
        if "Template" in Content:
            self.state.append((to, Content["Template"]["TemplateName"], Content["Template"]["TemplateData"]))
        else:
            simple = Content["Simple"]
            self.state.append((to, simple["Subject"]["Data"], simple["Body"]["Text"]["Data"]))
        return {"MessageId": f"message-{len(self.state)}"}
