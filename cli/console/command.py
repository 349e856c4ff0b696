"""`distributary console`, and the page of `up --console`."""

import os
import threading
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import typer

from cli import project as projects
from cli.errors import UsageFault
from cli.options import LOCAL_REGION, ConsolePort, Source, SourceRegion, checked_endpoint

if TYPE_CHECKING:
    from collections.abc import Mapping

    from local.aws import Aws


def console(
    context: typer.Context, endpoint_url: Source = None, region: SourceRegion = None, console_port: ConsolePort = None
) -> int:
    """Serve a web page that attaches functions to a table of running embedded services, and shows each change.

    It ends with Ctrl-C, and what it attached ends with it.
    """
    from local.aws import Aws

    endpoint = checked_endpoint(endpoint_url)
    if endpoint is None:
        raise UsageFault(
            "start `distributary up`, and set AWS_ENDPOINT_URL as it prints; "
            "for a table on AWS use `distributary attach TABLE FUNCTION --console`"
        )
    search = os.environ.get("OPENSEARCH_ENDPOINT")
    aws = Aws.of_user(endpoint, region or os.environ.get("AWS_REGION") or LOCAL_REGION)
    with start_page(context, aws, {"OPENSEARCH_ENDPOINT": search} if search else {}, console_port) as link:
        print(f"console: {link}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("stopped")
    return 0


def start_page(
    context: typer.Context, aws: "Aws", environment: "Mapping[str, str]", port: int | None
) -> AbstractContextManager[str]:
    """The page's link, while the block runs. Raises UsageFault outside a project, and LocalError if the port is
    taken."""
    from cli.console.starting import Starting, starting

    return starting(Starting(projects.find(context.obj).folder, aws, environment), port)
