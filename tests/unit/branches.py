"""Small branches and services that hold state, to see what `consume` makes of their answers."""

import json

from botocore.exceptions import ClientError

from distributary.consumer.consume import Deployment
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.streams import Streams
from distributary.consumer.telemetry import Telemetry


class Context:
    """Lambda's context, with `seconds` left."""

    aws_request_id = "8f5b1d1e-0c6a-4b8e-9a51-111122223333"

    def __init__(self, seconds=30.0):
        self.seconds = seconds

    def get_remaining_time_in_millis(self):
        return int(self.seconds * 1000)


class Ledger:
    """A branch that notes each change and answers what it was told to, by user."""

    def __init__(self, default, **by_user):
        self.default, self.by_user, self.seen = default, by_user, []

    def apply(self, changes, deadline):
        self.seen += changes
        return [self.by_user.get(change.keys["user_id"], self.default) for change in changes]


class Bucket:
    """S3 as parking needs it: objects by key, and a service error for keys that it refuses."""

    def __init__(self, refuses=""):
        self.objects, self.refuses = {}, refuses

    def put_object(self, *, Bucket, Key, Body, ContentType):
        if self.refuses and self.refuses in Key:
            raise ClientError({"Error": {"Code": self.code, "Message": "no"}}, "PutObject")
        assert len(Key.encode()) <= 1024
        self.objects[Key] = Body

    code = "SlowDown"

    def bodies(self):
        return {key: json.loads(body) for key, body in self.objects.items()}


def deployment(branch, bucket, name="derive", generation=0):
    return Deployment(branch, Parking(bucket, "parking", name, Parallel(2)), Telemetry(name), Streams(generation))
