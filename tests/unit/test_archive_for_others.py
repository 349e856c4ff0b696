"""Programs that others wrote read what compaction writes: a package for DynamoDB's exports, and DuckDB."""

import base64
import gzip
import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from aws_dynamodb_io.export_table import ExportJob

from distributary.archive.compact.output import sink
from distributary.archive.compact.run import compact
from tests.fakes.s3 import S3
from tests.unit.archives import archived
from tests.unit.test_archive_compact import END, LATER, History, key, window

BEGIN = 1800


class Exports(S3):
    """It takes a file as a body, as boto3's client does."""

    def put_object(self, *, Body: Any, **request: Any) -> Any:
        return super().put_object(Body=Body if isinstance(Body, bytes) else Body.read(), **request)


@pytest.fixture
def history() -> History:
    found = History()
    for number in range(1, 400):
        found.set(f"u-{number % 150}", number if number % 7 else None, number * 10)
    return found


def test_a_package_for_exports_reads_the_summary_and_every_file(history):
    exports = Exports("exports")
    done = compact(
        archived([history.changes]), window(BEGIN), sink("s3://exports/a", lambda: exports), now=lambda: LATER
    )
    job = ExportJob(
        arn=f"arn:aws:dynamodb:eu-west-1:123456789012:table/users/export/{Path(done.folder).name}",
        status="COMPLETED",
        s3_bucket="exports",
        s3_prefix="a",
        export_format="DYNAMODB_JSON",
    )
    summary = job.get_manifest_summary(None, exports)
    assert summary.is_incremental_export()
    assert summary.output_view == "NEW_AND_OLD_IMAGES"
    assert summary.export_from_time == datetime(2026, 11, 22, 10, 30, tzinfo=UTC)
    assert summary.export_to_time == datetime(2026, 11, 22, 12, tzinfo=UTC)
    files = job.get_data_files(None, exports)
    assert summary.item_count == sum(each.item_count for each in files) == done.items == len(history.net(BEGIN, END))
    for each in files:
        content = exports.state[each.s3_key]
        assert base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode() == each.md5
        assert len(gzip.decompress(content).splitlines()) == each.item_count
    assert len(files) > 1


def test_duckdb_reads_the_files_that_the_manifests_name(history, tmp_path):
    done = compact(archived([history.changes]), window(BEGIN), sink(str(tmp_path), None), now=lambda: LATER)
    (tmp_path / "AWSDynamoDB/data/another-exports.json.gz").write_bytes(gzip.compress(b'{"Keys": {}}\n'))
    with duckdb.connect() as connection:
        manifest = connection.execute(
            f"SELECT dataFileS3Key, itemCount FROM read_json('{tmp_path}/{done.folder}/manifest-files.json')"
        ).fetchall()
        files = [str(tmp_path.parent / name) for name, _ in manifest]
        rows = connection.execute(
            "SELECT Keys.user_id.S, OldImage.visits.N, NewImage.visits.N, Metadata.WriteTimestampMicros.N::BIGINT "
            "FROM read_json(?, format = 'newline_delimited', sample_size = -1)",
            [files],
        ).fetchall()
    assert len(rows) == sum(count for _, count in manifest)

    def image(user: str, number: str | None) -> Any:
        return None if number is None else {**key(user), "visits": {"N": number}}

    found = {user: (image(user, old), image(user, new), micros) for user, old, new, micros in rows}
    assert json.dumps(found, sort_keys=True) == json.dumps(history.net(BEGIN, END), sort_keys=True)
