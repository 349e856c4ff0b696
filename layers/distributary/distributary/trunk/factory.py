"""The trunk and its feeder, put together: by the functions and the tests."""

from collections.abc import Callable
from functools import cache

from distributary.consumer.aws import Clients, Later
from distributary.consumer.consume import Deployment
from distributary.consumer.parallel import Parallel
from distributary.consumer.parking import Parking
from distributary.consumer.streams import Streams
from distributary.consumer.telemetry import Telemetry
from distributary.consumer.ties import settling
from distributary.feed.invoke import Feed, Invoke
from distributary.trunk.breaker import Breakers
from distributary.trunk.deferred import Deferral, Store
from distributary.trunk.feeder import ONCE, Feeder
from distributary.trunk.settings import DeferredSettings, TrunkSettings
from distributary.trunk.trunk import Always, Limb, Trunk

DEFERRING = "welcome"
"""The branch of which every change is deferred: how fast it may send leans on its function's reserved concurrency."""

_S3_SECONDS = 10.0


def build(
    settings: TrunkSettings,
    runtime: Callable[[str], Deployment],
    clients: Clients,
    telemetry: Callable[[str], Telemetry] = Telemetry,
) -> Trunk:
    """The trunk of the settings' branches; `runtime` makes the deployment of one. Raises what that raises."""
    store = Store(clients("s3", read_seconds=_S3_SECONDS), settings.deferred_bucket)
    breakers = Breakers(
        clients("dynamodb"), settings.breaker_table, settings.branches, float(settings.defer_after_seconds)
    )

    def limb(branch: str) -> Limb:
        deployed = _always(settings, clients, telemetry(branch)) if branch == DEFERRING else runtime(branch)
        return Limb(
            settling(deployed.branch, deployed.reconciler),
            deployed.parking,
            deployed.telemetry,
            deployed.streams,
            Deferral(store, branch),
            breakers.after,
        )

    limbs = tuple(map(limb, settings.branches))
    return Trunk(limbs, Streams(settings.generation, settings.streams), breakers, Parallel(len(limbs)))


def _always(settings: TrunkSettings, clients: Clients, telemetry: Telemetry) -> Deployment:
    return Deployment.of(Always(settings.event_names), settings, clients, Parallel(), telemetry)


def feeder(settings: DeferredSettings, clients: Clients, invoke: Callable[[str, str], Invoke]) -> Feeder:
    """What feeds every function of the stack; `invoke` makes, of a branch and an ARN, what invokes it."""
    s3 = clients("s3", read_seconds=_S3_SECONDS)
    functions = settings.functions

    @cache
    def invoking(branch: str) -> Invoke:
        return invoke(branch, functions[branch].arn)

    def feed(branch: str, table: str) -> Feed:
        return Feed(invoking(branch), deadline=ONCE, table=functions[branch].named(table))

    def parking(branch: str) -> Parking:
        return Parking(Later(lambda: s3), settings.parking_bucket, branch, Parallel())

    breakers = Breakers(clients("dynamodb"), settings.breaker_table, tuple(functions))
    return Feeder(Store(s3, settings.deferred_bucket), functions, feed, parking, breakers)
