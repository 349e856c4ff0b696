"""Commands that read the archive of a table's changes."""

import json as json_text
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.deployed import reported
from cli.errors import UsageFault
from cli.options import DryRun, Json, Region, checked_endpoint, key_of

if TYPE_CHECKING:
    from distributary.archive.history import Life
    from distributary.readers.archive import Archive

app = typer.Typer(help="Read the archive of a table's changes.", no_args_is_help=True)

Place = Annotated[
    str, typer.Option("--archive", metavar="PLACE", help="The archive: s3://BUCKET, or a folder with a copy of it.")
]
Table = Annotated[str, typer.Option(help="The table's name.")]
Endpoint = Annotated[str | None, typer.Option(help="Of S3 (default: AWS_ENDPOINT_URL, or else AWS).")]
MICROS = 1_000_000
_KEY = '--key: give the key\'s attributes in DynamoDB JSON, such as {"user_id": {"S": "u-1"}}'


@app.command()
def compact(
    archive: Place,
    table: Table,
    output: Annotated[str, typer.Option(metavar="PLACE", help="Where to write: s3://BUCKET/PREFIX, or a folder.")],
    begin: Annotated[str, typer.Option("--from", metavar="TIME", help="The window's first moment, ISO 8601.")],
    end: Annotated[str, typer.Option("--to", metavar="TIME", help="The first moment after the window.")],
    new_images: Annotated[bool, typer.Option("--new-images", help="Leave old images out.")] = False,
    temporary: Annotated[
        Path | None, typer.Option(help="A folder on a disk with space for the window, uncompressed.")
    ] = None,
    dry_run: DryRun = False,
    endpoint_url: Endpoint = None,
    region: Region = None,
    json: Json = None,
) -> int:
    """Write what an incremental export of a window would hold: one line for each item that changed."""
    from distributary.archive.compact.output import check_sink, sink
    from distributary.archive.compact.partitions import Window
    from distributary.archive.compact.run import compact as run
    from distributary.archive.compact.run import planned
    from distributary.verify.progress import progress

    window = Window(moment("--from", begin), moment("--to", end))
    found = archive_of(archive, table, endpoint_url, region)
    check_sink(output)
    if temporary is not None and not temporary.is_dir():
        raise UsageFault(f"--temporary {temporary}: there is no such folder")
    objects = len(planned(found, window, time.time()))
    if dry_run:
        return reported({"objects": objects}, [f"{objects} objects of {archive} would be read"], json, 0)
    to = sink(output, lambda: _client(endpoint_url, region))
    with progress({"objects": objects}, command="compact") as told:
        done = run(found, window, to, not new_images, temporary, told)
    said = (
        f"{done.changes} changes in {done.objects} objects: net changes of {done.items} items; "
        f"the export is in {output.rstrip('/')}/{done.folder}"
    )
    return reported(done.as_json(), [said], json, 0)


@app.command()
def at(
    when: Annotated[str, typer.Argument(metavar="TIME", help="A moment, ISO 8601; UTC if it names no offset.")],
    archive: Place,
    table: Table,
    key: Annotated[str, typer.Option(metavar="JSON", help='The item\'s key, such as {"user_id": {"S": "u-1"}}.')],
    endpoint_url: Endpoint = None,
    region: Region = None,
    json: Json = None,
) -> int:
    """Print an item as it was at a moment, and every change of it."""
    from distributary.archive.history import State, life
    from distributary.verify.progress import progress

    wanted, keys, found = moment("TIME", when), key_of(key, _KEY), archive_of(archive, table, endpoint_url, region)
    with progress({"objects": len(found.objects())}, command="at") as told:
        lived = life(found, keys, wanted, told)
    return reported(_as_json(lived), _lines(lived), json, 1 if lived.state is State.UNKNOWN else 0)


def moment(option: str, text: str) -> int:
    """Microseconds since the epoch. Raises UsageFault."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise UsageFault(f"{option} {text}: give a time such as 2026-11-26T09:30:00Z") from None
    aware = found if found.tzinfo else found.replace(tzinfo=UTC)
    seconds = (aware - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()
    if seconds < 0:
        raise UsageFault(f"{option} {text}: give a time after 1970")
    return round(seconds * MICROS)


def archive_of(address: str, table: str, endpoint: str | None, region: str | None) -> "Archive":
    """A table's archive at an address, which is not read yet. Raises ConfigError."""
    from distributary.readers.archive import Archive
    from distributary.readers.place import place

    return Archive(place(address, lambda: _client(endpoint, region)), table)


def _client(endpoint: str | None, region: str | None) -> Any:
    import boto3

    return boto3.Session(region_name=region).client("s3", endpoint_url=checked_endpoint(endpoint))


def _as_json(lived: "Life") -> dict[str, Any]:
    from distributary.readers.archive import shown_time

    events = [
        {
            "time": shown_time(each.micros),
            "kind": each.kind,
            "expired": each.expired,
            "attributes": list(each.attributes),
            "generation": each.at.generation,
            "sequenceNumber": str(each.at.sequence),
        }
        for each in lived.events
    ]
    return {"state": lived.state.value, "item": lived.item, "changes": events}


def _lines(lived: "Life") -> Iterator[str]:
    from distributary.readers.archive import shown_time
    from distributary.verify.report import printable

    if lived.item is not None:
        yield json_text.dumps(lived.item, ensure_ascii=False)
    else:
        yield {"unknown": "the archive holds no change of this item"}.get(lived.state.value, "it did not exist")
    for each in lived.events:
        kind = f"{each.kind} (time to live)" if each.expired else each.kind
        yield printable(f"{shown_time(each.micros)}  {kind}  {', '.join(each.attributes)}")
