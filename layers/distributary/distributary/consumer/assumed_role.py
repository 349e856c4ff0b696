"""Another account's credentials, fetched when they are needed and again before they expire."""

from typing import Any

import botocore.session
from botocore.credentials import CredentialProvider, CredentialResolver, DeferredRefreshableCredentials

from distributary.consumer.aws import AwsError, classify
from distributary.errors import Unavailable

SESSION_NAME = "distributary"


class _Given(CredentialProvider):
    """The only provider of its session: the credentials that it is made with."""

    METHOD = "assume-role"

    def __init__(self, credentials: DeferredRefreshableCredentials) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> DeferredRefreshableCredentials:
        return self._credentials


def assumed(sts: Any, role_arn: str) -> botocore.session.Session:
    """A session of the role. Its credentials last an hour and are renewed; STS is not called before the first request.

    A refused role makes that call Unavailable: once its trust policy allows the function's role, the call succeeds.
    https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html
    """

    def fetch() -> dict[str, str]:
        try:
            given = sts.assume_role(RoleArn=role_arn, RoleSessionName=SESSION_NAME)["Credentials"]
        except AwsError as error:
            raise Unavailable(str(classify(error, "AssumeRole")), str(error)) from error
        return {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "expiry_time": given["Expiration"].isoformat(),
        }

    session = botocore.session.Session()
    provider = _Given(DeferredRefreshableCredentials(fetch, _Given.METHOD))
    session.register_component("credential_provider", CredentialResolver([provider]))
    return session
