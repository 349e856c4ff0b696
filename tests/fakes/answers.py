"""Errors as boto3 raises them."""

from typing import Any

from botocore.exceptions import ClientError


def refusal(operation: str, code: str, message: str, status: int = 400, **more: Any) -> ClientError:
    """A service's answer other than 200."""
    response = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}, **more}
    return ClientError(response, operation)
