"""TTL of the embedded DynamoDB: expired items are deleted as AWS deletes them, with a stream record that says so.

https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/time-to-live-ttl-streams.html
AWS takes up to a few days. Here the first request of any client that comes a second after its time deletes an item.
"""

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from ministack.core.responses import AccountRegionScopedDict, request_scope
from ministack.services import dynamodb, dynamodb_streams

TTL_USER = {"Type": "Service", "PrincipalId": "dynamodb.amazonaws.com"}
OLDEST_SECONDS = 5 * 365 * 86_400
"""DynamoDB leaves items whose time is more than five years ago:
https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/howitworks-ttl.html"""
_SWEEP_SECONDS = 1.0

Handle = Callable[..., Awaitable[Any]]


class Settings(AccountRegionScopedDict):  # type: ignore[misc]
    """Which attribute expires the items of a table. ministack's own reaper, which leaves no record, finds nothing."""

    __slots__ = ()

    def all_items(self) -> list[Any]:
        """Nothing for the reaper."""
        return []

    def enabled(self) -> Iterator[tuple[str, str, str, str]]:
        """Account, region, table and attribute of each table whose items expire."""
        for (account, region, table), setting in list(self._data.items()):
            if setting["TimeToLiveStatus"] == "ENABLED":
                yield account, region, table, setting["AttributeName"]


class Reaper:
    """Deletes what has expired, between requests: ministack answers them one after another."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._swept = 0.0
        self._deleting = False

    def before(self, handle: Handle) -> Handle:
        """The handler of a service, which answers as if the expired items had been deleted by a request before."""

        async def handle_request(*request: Any) -> Any:
            if time.monotonic() - self._swept >= _SWEEP_SECONDS:
                self.sweep(time.time())
                self._swept = time.monotonic()
            return await handle(*request)

        return handle_request

    def signing(self, build: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        """Makes stream records; those of expired items name DynamoDB as the user."""

        def build_change_record(*change: Any) -> dict[str, Any]:
            record = build(*change)
            return {**record, "userIdentity": TTL_USER} if self._deleting else record

        return build_change_record

    def sweep(self, now: float) -> None:
        """Deletes every item that has expired at this time."""
        for account, region, name, attribute in self._settings.enabled():
            with request_scope(account, region):
                table = dynamodb._tables[name]
                items = [item for part in table["items"].values() for item in part.values()]
                for item in items:
                    if expired(item.get(attribute), now):
                        self._delete(name, {key: item[key] for key in _key_names(table)})

    def _delete(self, table: str, key: Mapping[str, Any]) -> None:
        self._deleting = True
        try:
            status, _, body = dynamodb._delete_item({"TableName": table, "Key": key})
        finally:
            self._deleting = False
        if status != 200:
            raise RuntimeError(f"the embedded DynamoDB could not expire an item of {table}: {body!r}")


def expired(value: Mapping[str, Any] | None, now: float) -> bool:
    """Whether an item with this attribute value (None = without one) is over: only numbers are times."""
    if value is None or "N" not in value:
        return False
    return 0 < now - float(value["N"]) <= OLDEST_SECONDS


def _key_names(table: Mapping[str, Any]) -> list[str]:
    return [each["AttributeName"] for each in table["KeySchema"]]


def install() -> None:
    """Takes TTL over from ministack, in this process."""
    settings = Settings()
    reaper = Reaper(settings)
    dynamodb._ttl_settings = settings
    dynamodb._build_change_record = reaper.signing(dynamodb._build_change_record)
    for service in (dynamodb, dynamodb_streams):
        service.handle_request = reaper.before(service.handle_request)
