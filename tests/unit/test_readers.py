"""Exports are read whole or not at all: what is damaged, missing or another table's is named, with file and line."""

import gzip
import json
import re
from pathlib import Path

import pytest
from botocore.exceptions import ReadTimeoutError

from distributary.errors import ConfigError, Unavailable
from distributary.readers import full_export, incremental_export
from distributary.readers.incremental_export import NetChange
from distributary.readers.place import place
from tests.fakes.answers import refusal
from tests.fakes.exports import exported, exported_changes, manifest, written
from tests.fakes.s3 import S3

ITEMS = [{"pk": {"S": f"p-{at}"}, "sk": {"N": str(at)}, "name": {"S": "Zoë 🌊"}} for at in range(7)]
KEY = {"pk": {"S": "p-1"}}
CHANGES = [
    {
        "Metadata": {"WriteTimestampMicros": {"N": "1680109764000000"}},
        "Keys": KEY,
        "NewImage": {**KEY, "a": {"N": "1"}},
    },
    {"Metadata": {"WriteTimestampMicros": "1680109764000001"}, "Keys": KEY, "OldImage": KEY, "NewImage": KEY},
    {"Metadata": {"WriteTimestampMicros": {"N": "3"}}, "Keys": KEY, "OldImage": KEY},
    {"Metadata": {"WriteTimestampMicros": {"N": "4"}}, "Keys": KEY},
]


def nothing():
    raise AssertionError("a folder needs no client")


def items(address, s3=nothing, keys=("pk", "sk")):
    return [item for page in full_export.pages(str(address), s3, keys) for item in page]


def uploaded(root: Path, page_keys: int = 1000) -> S3:
    s3 = S3("exports")
    s3.state = {
        f"a/{path.relative_to(root).as_posix()}": path.read_bytes() for path in root.rglob("*") if path.is_file()
    }
    s3.page_keys = page_keys
    return s3


def a_data_file(root: Path) -> Path:
    return sorted(root.rglob("*.json.gz"))[1]


@pytest.mark.parametrize("below", ["", "AWSDynamoDB", "AWSDynamoDB/01693685827463-2d8752fd"])
def test_a_full_export_is_read_from_any_folder_above_its_manifests(tmp_path, below):
    exported(tmp_path, ITEMS)
    assert items(tmp_path / below) == ITEMS


@pytest.mark.parametrize("page_keys", [1, 3, 1000])
@pytest.mark.parametrize("address", ["s3://exports", "s3://exports/a", "s3://exports/a/AWSDynamoDB/"])
def test_an_export_in_s3_is_read_as_one_in_a_folder_is(tmp_path, address, page_keys):
    exported(tmp_path, ITEMS)
    s3 = uploaded(tmp_path, page_keys)
    assert items(address, lambda: s3) == ITEMS


@pytest.mark.parametrize("below", ["", "AWSDynamoDB/01693685827463-2d8752fd"])
def test_an_incremental_export_is_read_with_the_data_that_all_exports_share(tmp_path, below):
    exported_changes(tmp_path, CHANGES)
    (tmp_path / "AWSDynamoDB/data/another-exports.json.gz").write_bytes(b"never read")
    assert list(incremental_export.changes(str(tmp_path / below), nothing, ("pk",))) == [
        NetChange(KEY, None, {**KEY, "a": {"N": "1"}}, 1680109764000000),
        NetChange(KEY, KEY, KEY, 1680109764000001),
        NetChange(KEY, KEY, None, 3),
        NetChange(KEY, None, None, 4),
    ]


def test_a_page_holds_at_most_a_thousand_items(tmp_path):
    exported(tmp_path, [{"pk": {"N": str(at)}} for at in range(2500)])
    pages = list(full_export.pages(str(tmp_path), nothing))
    assert [len(page) for page in pages] == [1000, 1000, 500]


def truncated(root):
    file = a_data_file(root)
    content = b"".join(json.dumps({"Item": item}).encode() + b"\n" for item in ITEMS)
    whole = gzip.compress(content, 0)
    file.write_bytes(whole[: len(whole) * 2 // 3])


def emptied(root):
    a_data_file(root).write_bytes(b"")


def not_compressed(root):
    a_data_file(root).write_bytes(b'{"Item": {}}\n')


def corrupt(root):
    content = bytearray(a_data_file(root).read_bytes())
    content[-6] ^= 1
    a_data_file(root).write_bytes(bytes(content))


def recompressed(root):
    """The same lines: only the sum tells."""
    a_data_file(root).write_bytes(gzip.compress(gzip.decompress(a_data_file(root).read_bytes()), 1, mtime=1))


def a_line_less(root):
    found = gzip.decompress(a_data_file(root).read_bytes()).splitlines(True)
    a_data_file(root).write_bytes(gzip.compress(b"".join(found[:-1])))


def line_of(text):
    def broken(root):
        found = gzip.decompress(a_data_file(root).read_bytes()).splitlines(True)
        found[2] = text.encode() + b"\n"
        a_data_file(root).write_bytes(gzip.compress(b"".join(found)))

    return broken


def gone(pattern):
    def removed(root):
        next(root.rglob(pattern)).unlink()

    return removed


def edited(pattern, old, new):
    def changed(root):
        path = next(root.rglob(pattern))
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    return changed


def rewritten(name, old, new):
    """With its checksum, as one who does it on purpose."""

    def changed(root):
        path = next(root.rglob(f"{name}.json"))
        assert old in path.read_text()
        manifest(path.parent, name, path.read_text().replace(old, new, 1))

    return changed


def counts_swapped(root):
    """The total is right, and so is each sum."""
    rewritten("manifest-files", '"itemCount": 3', '"itemCount": x')(root)
    rewritten("manifest-files", '"itemCount": 4', '"itemCount": 3')(root)
    rewritten("manifest-files", '"itemCount": x', '"itemCount": 4')(root)


DATA = r"data/1sgad6417s6vss4p7owp0471bcq\.json\.gz"
ITEM = DATA + ":3: the line is no item of a full export: "
FILES = r"manifest-files\.json"
DAMAGES = {
    "truncated": (truncated, DATA + r":\d+: the file is damaged: Compressed file ended"),
    "emptied": (emptied, DATA + r":0: the file has 0 lines, and its manifest says 4"),
    "not compressed": (not_compressed, DATA + ":1: the file is damaged: Not a gzipped file"),
    "corrupt": (corrupt, DATA + r":\d+: the file is damaged: CRC check failed"),
    "another sum": (recompressed, DATA + r": the file's MD5 is .+, and its manifest says "),
    "a line less": (a_line_less, DATA + r":3: the file has 3 lines, and its manifest says 4"),
    "counts swapped": (counts_swapped, r"data/0sgad.*\.json\.gz:3: the file has 3 lines, and its manifest says 4"),
    "no JSON": (line_of("{'Item': {}}"), ITEM + "it is no JSON: Expecting property name"),
    "no item": (line_of('{"NewImage": {}}'), ITEM + "it has no 'Item'$"),
    "no object": (line_of('{"Item": 1}'), ITEM + "Item is no object$"),
    "another table's": (line_of('{"Item": {"id": {"S": "x"}}}'), ITEM + "it has no pk, sk: this is another table's$"),
    "deep": (line_of("[" * 100_000), ITEM + "it is nested too deep$"),
    "data file gone": (gone("1sgad*"), DATA + ": No such file"),
    "files gone": (gone("manifest-files.json"), FILES + ": No such file"),
    "checksum gone": (gone("manifest-files.md5"), r"manifest-files: neither \.md5 nor \.checksum is there"),
    "no manifest": (gone("manifest-summary.json"), r"there is no manifest-summary\.json below it"),
    "edited": (edited("manifest-files.json", '"itemCount": 3', '"itemCount": 4'), FILES + ": its MD5 is not"),
    "a count": (
        rewritten("manifest-files", '"itemCount": 3', '"itemCount": 2'),
        "itemCount is 7, and its files have 6",
    ),
    "total": (
        rewritten("manifest-summary", '"itemCount": 7', '"itemCount": 8'),
        "itemCount is 8, and its files have 7",
    ),
    "no entry": (
        rewritten("manifest-files", '"dataFileS3Key"', '"key"'),
        FILES + ": an entry is no data file: it has no 'dataFileS3Key'$",
    ),
    "no data": (rewritten("manifest-files", "/data/0", "/0"), "names no file of a folder 'data'"),
    "no JSON manifest": (rewritten("manifest-files", "{", "("), FILES + ":1: this is no JSON object"),
    "Ion": (rewritten("manifest-summary", "DYNAMODB_JSON", "ION"), "outputFormat is not DYNAMODB_JSON"),
}


@pytest.mark.parametrize("ending", ["md5", "checksum"])
def test_the_checksums_are_found_under_either_name(tmp_path, ending):
    """AWS documents `.checksum`; its exports have `.md5`."""
    folder = exported(tmp_path, ITEMS)
    for path in folder.glob("*.md5"):
        path.rename(path.with_suffix(f".{ending}"))
    assert items(tmp_path) == ITEMS


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_or_missing_part_is_named_and_never_skipped(tmp_path, damage):
    exported(tmp_path, ITEMS)
    break_, says = DAMAGES[damage]
    break_(tmp_path)
    with pytest.raises(ConfigError) as raised:
        items(tmp_path)
    assert re.search(says, str(raised.value)), str(raised.value)


def test_a_missing_object_in_s3_is_named(tmp_path):
    exported(tmp_path, ITEMS)
    s3 = uploaded(tmp_path)
    del s3.state["a/AWSDynamoDB/01693685827463-2d8752fd/data/1sgad6417s6vss4p7owp0471bcq.json.gz"]
    with pytest.raises(ConfigError, match=r"s3://exports/a/AWS.*/data/1sgad.*: there is no such object"):
        items("s3://exports/a", lambda: s3)


def test_the_folder_of_several_exports_is_refused_with_their_ids(tmp_path):
    for name in ("one", "two"):
        exported(tmp_path / name, ITEMS)
    with pytest.raises(ConfigError, match=r"there are 2 exports below it .*give the folder of one"):
        items(tmp_path)


def test_a_kind_of_export_is_not_taken_for_the_other(tmp_path):
    exported(tmp_path / "full", ITEMS)
    exported_changes(tmp_path / "changes", CHANGES)
    with pytest.raises(ConfigError, match="this is an incremental export: give a full one"):
        items(tmp_path / "changes")
    with pytest.raises(ConfigError, match="this is no incremental export"):
        list(incremental_export.changes(str(tmp_path / "full"), nothing))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ({**CHANGES[0], "Keys": {"id": {"S": "x"}}}, "its key is id: this is another table's"),
        ({**CHANGES[0], "NewImage": {"id": {"S": "x"}}}, "it has no pk: this is another table's"),
        ({**CHANGES[0], "NewImage": []}, "is no object"),
        ({"Keys": KEY}, "it has no 'Metadata'"),
        ({**CHANGES[0], "Metadata": {"WriteTimestampMicros": {"N": "soon"}}}, "invalid literal"),
    ],
)
def test_a_line_that_is_no_net_change_of_the_table_is_named(tmp_path, line, says):
    exported_changes(tmp_path, [CHANGES[0], line])
    with pytest.raises(ConfigError, match=rf"bcq\.json\.gz:2: .*{says}"):
        list(incremental_export.changes(str(tmp_path), nothing, ("pk",)))


def test_a_name_in_a_manifest_leads_nowhere_else(tmp_path):
    folder = written(tmp_path / "in", [[{"Item": ITEMS[0]}]], {"outputFormat": "DYNAMODB_JSON"}, "AWSDynamoDB/x/data")
    outside = tmp_path / "secret.json.gz"
    outside.write_bytes(gzip.compress(b'{"Item": {"pk": {"S": "secret"}}}\n'))
    text = (folder / "manifest-files.json").read_text()
    manifest(folder, "manifest-files", re.sub(r'"AWSDynamoDB/[^"]*"', '"../../../data/../secret.json.gz"', text))
    with pytest.raises(ConfigError, match="names no file of a folder 'data'"):
        items(tmp_path / "in", keys=())


@pytest.mark.parametrize("refused", ["AccessDenied", "NoSuchBucket"])
def test_a_place_that_cannot_be_listed_is_a_wrong_address(refused):
    class Closed(S3):
        def list_objects_v2(self, **_):
            raise refusal("ListObjectsV2", refused, "no", 403)

    with pytest.raises(ConfigError, match=f"s3://exports/a/?: {refused}; correct the address or the permissions"):
        items("s3://exports/a", lambda: Closed("exports"))


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match="nowhere: there is no such folder"):
        place(str(tmp_path / "nowhere"), nothing)


@pytest.mark.parametrize("ending", ["md5", "json.gz"])
def test_an_export_that_breaks_off_is_no_verdict(tmp_path, ending):
    class Body:
        def read(self, *_):
            raise ReadTimeoutError(endpoint_url="s3")

        def close(self):
            pass

    class Breaking(S3):
        def get_object(self, *, Bucket, Key):
            return {"Body": Body()} if Key.endswith(ending) else super().get_object(Bucket=Bucket, Key=Key)

    exported(tmp_path, ITEMS)
    s3 = Breaking("exports")
    s3.state = uploaded(tmp_path).state
    with pytest.raises(Unavailable, match="ReadTimeoutError"):
        items("s3://exports", lambda: s3)
