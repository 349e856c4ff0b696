"""A replica in another account: a role's credentials, asked for when needed and again before they expire."""

from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from distributary.consumer.assumed_role import assumed
from distributary.consumer.aws import client
from distributary.errors import Unavailable

ROLE = "arn:aws:iam::123456789012:role/replica"


class Sts:
    """Gives credentials that last as long as it is told."""

    def __init__(self, minutes=60, refuses=False):
        self.asked, self.minutes, self.refuses = [], minutes, refuses

    def assume_role(self, *, RoleArn, RoleSessionName):
        if self.refuses:
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": RoleArn}}, "AssumeRole")
        self.asked.append((RoleArn, RoleSessionName))
        until = datetime.now(UTC) + timedelta(minutes=self.minutes)
        number = len(self.asked)
        return {
            "Credentials": {
                "AccessKeyId": f"key-{number}",
                "SecretAccessKey": "secret",
                "SessionToken": "token",
                "Expiration": until,
            }
        }


def test_nothing_is_asked_before_the_first_call_and_then_once():
    sts = Sts()
    session = assumed(sts, ROLE)
    found = client("dynamodb", "eu-west-1", session=session)
    assert sts.asked == []
    for _ in range(3):
        assert found._get_credentials().get_frozen_credentials().access_key == "key-1"
    assert sts.asked == [(ROLE, "distributary")]


def test_credentials_that_end_soon_are_fetched_again():
    sts = Sts(minutes=5)
    credentials = assumed(sts, ROLE).get_credentials()
    keys = [credentials.get_frozen_credentials().access_key for _ in range(2)]
    assert keys == ["key-1", "key-2"]


def test_a_role_that_may_not_be_assumed_is_unavailable_and_says_the_mend():
    found = client("dynamodb", "eu-west-1", session=assumed(Sts(refuses=True), ROLE))
    with pytest.raises(Unavailable, match="AssumeRole: AccessDenied; grant"):
        found.get_item(TableName="users", Key={"id": {"S": "x"}})


def test_a_client_keeps_a_connection_for_every_call_at_once():
    assert client("dynamodb", "eu-west-1", connections=50).meta.config.max_pool_connections == 50
