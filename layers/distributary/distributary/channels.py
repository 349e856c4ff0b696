"""How a message goes out, and what is known when it did not."""

from dataclasses import dataclass
from typing import Any, Protocol

from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError

from distributary.clients import AwsError, code_of
from distributary.errors import DistributaryError, Rejected, Unavailable
from distributary.rules import Message

_NEVER = {"MessageRejected", "BadRequestException", "NotFoundException"}
_NOT_NOW = {
    "TooManyRequestsException",
    "LimitExceededException",
    "SendingPausedException",
    "AccountSuspendedException",
    "MailFromDomainNotVerifiedException",
    "AccessDeniedException",
}
_NEVER_LEFT = (ConnectTimeoutError, EndpointConnectionError)


class MaybeSent(DistributaryError):
    """The request broke off: nobody can know whether the message went out."""


class Channel(Protocol):
    """How a message goes out."""

    def send(self, message: Message) -> str:
        """The provider's message id.

        Raises Rejected if it never will go out, Unavailable if it certainly did not this time, else MaybeSent.
        """


@dataclass(frozen=True, slots=True)
class Ses:
    """E-mail through SES v2. `client` must make one try only: a retry by the SDK could send twice.
    https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html"""

    client: Any
    sender: str

    def send(self, message: Message) -> str:
        """See `Channel`."""
        try:
            answer = self.client.send_email(
                FromEmailAddress=self.sender,
                Destination={"ToAddresses": [message.to]},
                Content={
                    "Simple": {
                        "Subject": {"Data": message.subject, "Charset": "UTF-8"},
                        "Body": {"Text": {"Data": message.text, "Charset": "UTF-8"}},
                    }
                },
            )
        except AwsError as error:
            raise _meaning(error) from error
        return str(answer["MessageId"])


def _meaning(error: Exception) -> Rejected | Unavailable | MaybeSent:
    code = code_of(error)
    cause, detail = f"SES SendEmail: {code}", str(error)
    if code in _NEVER:
        return Rejected(cause, detail)
    if code in _NOT_NOW or isinstance(error, _NEVER_LEFT):
        return Unavailable(cause, detail)
    if isinstance(error, ClientError) and error.response["ResponseMetadata"].get("HTTPStatusCode", 500) < 500:
        return Unavailable(cause, detail)
    return MaybeSent(cause, detail)
