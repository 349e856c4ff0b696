"""Whether an event's bytes end as the runtime's own decoding of them would have ended."""

import contextlib
import io

from awslambdaric.lambda_runtime_exception import FaultException
from awslambdaric.lambda_runtime_marshaller import LambdaMarshaller

from distributary.consumer.consume import consume
from distributary.consumer.marshaller import StreamMarshaller
from distributary.consumer.outcome import APPLIED, parked
from distributary.errors import DistributaryError, Rejected
from distributary.stream.stream_event import StreamEvent
from tests.unit.branches import Bucket, Context, deployment

STANDARD = LambdaMarshaller()
OURS = StreamMarshaller(STANDARD)


class Reading:
    """A branch that reads everything of its changes, first some attributes and then the whole, and notes it."""

    def __init__(self):
        self.seen = []

    def apply(self, changes, deadline):
        return [self._end(change) for change in changes]

    def _end(self, change):
        fields = change._replace(keys=None, old=None, new=None, record=None)
        images = [_all_of(image) for image in (change.keys, change.old, change.new)]
        self.seen.append((repr(fields), flat(images)))
        refused = [error for image in images for error in image if isinstance(error, Rejected)]
        return parked(refused[0]) if refused else APPLIED


def _all_of(image):
    if image is None:
        return []
    values = [_value(image, name) for name in reversed(list(image))]
    return [list(image), *values, image.raw]


def _value(image, name):
    try:
        return image[name]
    except Rejected as error:
        return error


def flat(part):
    """All of a value, however deep it is."""
    left, found = [part], []
    while left:
        match each := left.pop():
            case dict():
                found.append(("{", *each))
                left.extend(each.values())
            case list():
                found.append(("[", len(each)))
                left.extend(each)
            case _:
                found.append(repr(each))
    return found


def ends(event):
    """The response, what was parked and what the branch saw; or the error that reached the runtime."""
    branch, bucket = Reading(), Bucket()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            response = consume(event, Context(), deployment(branch, bucket))
    except (DistributaryError, FaultException) as error:
        return type(error).__name__
    return response, bucket.objects, branch.seen


def check(body):
    """Raises AssertionError if the bytes do not end as they should. Returns how they were read: `bytes`, `standard`, or
    `broken` for what is no JSON."""
    try:
        expected = STANDARD.unmarshal_request(body)
    except FaultException:
        return _broken(body)
    made = OURS.unmarshal_request(body)
    by_bytes = isinstance(made, StreamEvent)
    assert ends(made) == ends(expected), body[:2000]
    return "bytes" if by_bytes else "standard"


def _broken(body):
    """The runtime fails such a batch. Ours may serve it as far as nothing reads what is broken, and fails so too."""
    with contextlib.suppress(FaultException, ValueError):
        ends(OURS.unmarshal_request(body))
    return "broken"
