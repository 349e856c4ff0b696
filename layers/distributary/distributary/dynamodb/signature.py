"""AWS Signature Version 4 of DynamoDB's requests. What stays the same is derived once: the key once a day, the headers
once a second.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

import hmac
import threading
import time
from collections.abc import Callable, Mapping
from hashlib import sha256

from botocore.credentials import ReadOnlyCredentials

from distributary.stream.struct import Struct

SERVICE = "dynamodb"
LONG_SECONDS, HOLD_SECONDS, FAILURE_TIMES = 0.1, 30.0, 10


class _Second(Struct, frozen=True):
    """What all requests of one second share: `fixed` are the headers before the signature, as they are sent."""

    at: int
    credential: bytes
    fixed: bytes
    canonical: bytes
    names: bytes
    to_sign: bytes
    key: bytes


class Signature:
    """Signs requests of `POST /` with these headers, whose names are in lower case and may not name the date.

    `credentials` is asked once a second, so that it may renew them; what it raises rises. Once it has taken longer than
    `LONG_SECONDS`, what it gave is held for `HOLD_SECONDS`. botocore begins to renew a quarter of an hour before
    credentials expire, and gives the old ones if that fails: each request would wait for another failure. An error that
    it raises rises `FAILURE_TIMES` as long as it took again, `HOLD_SECONDS` at most.
    """

    def __init__(
        self,
        headers: Mapping[str, str],
        region: str,
        credentials: Callable[[], ReadOnlyCredentials],
        now: Callable[[], float] = time.time,
    ) -> None:
        self._headers, self._region, self._credentials, self._now = dict(headers), region, credentials, now
        self._second: _Second | None = None
        self._key: tuple[str, str, bytes] = "", "", b""
        self._held: tuple[float, float, ReadOnlyCredentials | Exception] | None = None
        self._lock = threading.Lock()

    def headers(self, target: bytes, body: bytes) -> bytes:
        """All headers of a request, each with the end of its line."""
        second = self._second
        if second is None or second.at != int(self._now()):
            second = self._renewed()
        request = b"%bx-amz-target:%b\n\n%b\n%b" % (
            second.canonical,
            target,
            second.names,
            sha256(body).hexdigest().encode(),
        )
        signed = hmac.digest(second.key, second.to_sign + sha256(request).hexdigest().encode(), "sha256")
        return b"%bx-amz-target: %b\r\nAuthorization: %b\r\n" % (
            second.fixed,
            target,
            b"AWS4-HMAC-SHA256 Credential=%b, SignedHeaders=%b, Signature=%b"
            % (second.credential, second.names, signed.hex().encode()),
        )

    def _renewed(self) -> _Second:
        """Threads that wait here for the same credentials share what comes of it."""
        with self._lock:
            second = self._second
            if second is None or second.at != int(self._now()):
                self._second = second = self._derived()
        return second

    def _derived(self) -> _Second:
        given = self._given()
        at = int(self._now())
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(at))
        day, scope = moment[:8], f"{moment[:8]}/{self._region}/{SERVICE}/aws4_request"
        headers = {**self._headers, "x-amz-date": moment}
        if given.token:
            headers["x-amz-security-token"] = given.token
        lines = sorted(headers.items())
        return _Second(
            at,
            f"{given.access_key}/{scope}".encode(),
            "".join(f"{name}: {value}\r\n" for name, value in lines).encode(),
            ("POST\n/\n\n" + "".join(f"{name}:{' '.join(value.split())}\n" for name, value in lines)).encode(),
            ";".join([*(name for name, _ in lines), "x-amz-target"]).encode(),
            f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n".encode(),
            self._signing_key(given.secret_key or "", day),
        )

    def _given(self) -> ReadOnlyCredentials:
        """Raises what `credentials` raises, also while that is held."""
        began, held = self._now(), self._held
        if held is None or not 0 <= began - held[0] < held[1]:
            self._held = held = self._asked(began)
        if isinstance(held[2], Exception):
            raise held[2].with_traceback(None)
        return held[2]

    def _asked(self, began: float) -> tuple[float, float, ReadOnlyCredentials | Exception]:
        """When they were given, for how many seconds that holds, and what was given."""
        given: ReadOnlyCredentials | Exception
        try:
            given = self._credentials()
        except Exception as error:  # noqa: BLE001  (it rises in each request while it is held)
            given = error
        ended = self._now()
        seconds = ended - began
        if isinstance(given, Exception):
            return ended, min(seconds * FAILURE_TIMES, HOLD_SECONDS), given
        return ended, HOLD_SECONDS if seconds > LONG_SECONDS else 0.0, given

    def _signing_key(self, secret: str, day: str) -> bytes:
        if self._key[:2] != (secret, day):
            key = f"AWS4{secret}".encode()
            for part in (day, self._region, SERVICE, "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = secret, day, key
        return self._key[2]
