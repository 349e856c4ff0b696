"""The console's web server: pages that ship with the command, their data, and a stream of what changes."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from anyio import to_thread
from botocore.exceptions import BotoCoreError, ClientError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from cli.console.guard import MOST_BYTES, Guard
from cli.errors import DeclarationFaults, UsageFault
from distributary.errors import DistributaryError
from local.errors import LocalError

STATIC = Path(__file__).with_name("static")
SECONDS = 0.5
"""Between two looks of the stream of events."""

SILENCE = 15.0
"""Seconds after which a stream without news says that it is there."""

Arguments = Mapping[str, Any]
Answer = Callable[[Arguments], Any]
"""Makes plain values of a request's query, path or JSON. Raises what `_explained` knows."""

_KNOWN = (DistributaryError, LocalError, UsageFault, ClientError, BotoCoreError, LookupError, ValueError, OSError)


def application(
    reads: Mapping[str, Answer],
    writes: Mapping[str, Answer],
    news: Callable[[], Any],
    mail: Callable[[Request], Any],
    token: str,
    hosts: list[str],
) -> Starlette:
    """`reads` and `writes` by path below /api: GET and POST. `news` is asked again and again, and sent when it has
    another `version`. `mail` answers for the frame of a mail."""
    routes: list[BaseRoute] = [
        Route(f"/api{path}", _endpoint(answer, _of_query), methods=["GET"]) for path, answer in reads.items()
    ]
    routes += [Route(f"/api{path}", _endpoint(answer, _of_body), methods=["POST"]) for path, answer in writes.items()]
    routes += [
        Route("/api/events", partial(_events, news=news), methods=["GET"]),
        Route("/mail/{name}", mail, methods=["GET"]),
        Mount("/", StaticFiles(directory=STATIC, html=True)),
    ]
    return Starlette(routes=routes, middleware=[Middleware(Guard, token=token, hosts=hosts)])


async def _of_query(request: Request) -> Arguments:
    return dict(request.query_params)


async def _of_body(request: Request) -> Arguments:
    """A JSON object. Raises ValueError."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise ValueError(f"a request has at most {MOST_BYTES} bytes")
    found = json.loads(body or b"{}")
    if not isinstance(found, dict):
        raise ValueError("give a JSON object")
    return found


def _endpoint(answer: Answer, arguments: Callable[[Request], Any]) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        try:
            return JSONResponse(await to_thread.run_sync(answer, await arguments(request)))
        except DeclarationFaults as error:
            return JSONResponse({"error": "; ".join(error.faults)}, 409)
        except _KNOWN as error:
            return JSONResponse({"error": _explained(error)}, 400)

    return endpoint


def _explained(error: Exception) -> str:
    """What a user can read. A LookupError's own text has quotes around it."""
    if isinstance(error, LookupError) and error.args:
        return " ".join(str(error.args[0]).split())
    return " ".join(str(error).split())


async def _events(request: Request, news: Callable[[], Any]) -> Response:
    return StreamingResponse(_told(request, news), media_type="text/event-stream")


async def _told(request: Request, news: Callable[[], Any]) -> AsyncIterator[str]:
    """Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""
    before, silent = None, 0.0
    while not await request.is_disconnected():
        found = await to_thread.run_sync(news)
        if found["version"] != before:
            before, silent = found["version"], 0.0
            yield f"data: {json.dumps(found)}\n\n"
        elif silent >= SILENCE:
            silent = 0.0
            yield ": nothing new\n\n"
        await asyncio.sleep(SECONDS)
        silent += SECONDS
