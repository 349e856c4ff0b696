"""`distributary console`, and the page of `up --console`."""

import os
import threading
from contextlib import AbstractContextManager
from functools import cache
from typing import TYPE_CHECKING, Annotated

import typer

from cli import project as projects
from cli.errors import UsageFault
from cli.options import LOCAL_REGION, ConsolePort, Source, SourceRegion, checked_endpoint
from cli.stack import Clients, Stack, clients

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws import Aws


def console(
    context: typer.Context,
    stack: Annotated[
        str | None, typer.Option(help="A deployed stack, which is only read (default: embedded services that run).")
    ] = None,
    endpoint_url: Source = None,
    region: SourceRegion = None,
    console_port: ConsolePort = None,
    allow_writes: Annotated[
        bool, typer.Option("--allow-writes", help="With --stack: let the page redrive, reconcile and forget.")
    ] = False,
) -> int:
    """Serve a web page: of a deployed stack, or of embedded services, where it attaches functions to a table.

    It ends with Ctrl-C, and what it attached ends with it.
    """
    if allow_writes and stack is None:
        raise UsageFault("--allow-writes is for a deployed stack: give --stack NAME as well")
    endpoint = checked_endpoint(endpoint_url)
    if stack is not None:
        page = stack_page(context, stack, endpoint, region, console_port, allow_writes)
    elif endpoint is not None:
        page = _of_services(context, endpoint, region, console_port)
    else:
        raise UsageFault(
            "give --stack NAME, or start `distributary up`, and set AWS_ENDPOINT_URL as it prints; "
            "for a table on AWS use `distributary attach TABLE FUNCTION --console`"
        )
    with page as link:
        print(f"console: {link}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("stopped")
    return 0


def _of_services(
    context: typer.Context, endpoint: str, region: str | None, port: int | None
) -> AbstractContextManager[str]:
    from local.aws import Aws

    search = os.environ.get("OPENSEARCH_ENDPOINT")
    aws = Aws.of_user(endpoint, region or os.environ.get("AWS_REGION") or LOCAL_REGION)
    return start_page(context, aws, {"OPENSEARCH_ENDPOINT": search} if search else {}, port)


def stack_page(
    context: typer.Context, name: str, endpoint: str | None, region: str | None, port: int | None, acts: bool
) -> AbstractContextManager[str]:
    """The link to the page of a deployed stack. Raises ConfigError if there is none, and UsageFault outside a
    project."""
    from cli.console.operated import Operated
    from cli.console.pages import operated

    @cache
    def reach(other: str | None) -> Clients:
        return clients(endpoint, other or region)

    return operated(Operated.of(Stack.find(name, reach(None)), reach, context.obj, acts), port)


def start_page(
    context: typer.Context, aws: "Aws", environment: "Mapping[str, str]", port: int | None
) -> AbstractContextManager[str]:
    """The page's link, while the block runs. Raises UsageFault outside a project, and LocalError if the port is
    taken."""
    from cli.console.starting import Starting, starting

    return starting(Starting(projects.find(context.obj).folder, aws, environment), port)
