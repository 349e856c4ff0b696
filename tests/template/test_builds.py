"""`sam build` finds a target for everything, and installs exactly what is locked."""

import re

import pytest

from deploy.template import BRANCHES

LOCKS = ["layers/distributary/requirements.txt", "functions/index/requirements.txt"]
PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


def pins(path):
    return dict(PIN.findall(path.read_text()))


@pytest.mark.parametrize("name", [*BRANCHES, "IndexPurge", "Feed", "Trunk", "Deferred"])
def test_every_function_is_built_by_the_target_of_its_logical_id(name, template, root):
    function = template.document["Resources"][f"{name}Function"]
    assert function["Metadata"] == {"BuildMethod": "makefile"}
    makefile = (root / function["Properties"]["CodeUri"] / "Makefile").read_text()
    assert re.search(rf"^build-{name}Function:", makefile, re.MULTILINE)


def test_the_layer_is_built_by_the_target_of_its_logical_id(template, root):
    layer = template.document["Resources"]["DistributaryLayer"]
    assert layer["Metadata"] == {"BuildMethod": "makefile"}
    makefile = (root / layer["Properties"]["ContentUri"] / "Makefile").read_text()
    assert "\nbuild-DistributaryLayer:\n" in makefile


def test_everything_is_built_for_the_runtime_that_it_runs_on(template, root):
    layer, shared = template.properties("DistributaryLayer"), template.document["Globals"]["Function"]
    assert layer["CompatibleRuntimes"] == [shared["Runtime"]] == ["python3.13"]
    assert layer["CompatibleArchitectures"] == shared["Architectures"] == ["arm64"]
    for folder in ("layers/distributary", "functions/index"):
        makefile = (root / folder / "Makefile").read_text()
        assert "PYTHON_VERSION ?= 3.13\n" in makefile
        assert "PLATFORM ?= manylinux2014_aarch64 manylinux_2_28_aarch64\n" in makefile


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_carries_hashes(lock, root):
    entries = re.split(r"\n(?=[A-Za-z0-9])", (root / lock).read_text().strip())
    assert entries
    assert not [each.splitlines()[0] for each in entries if not (PIN.match(each) and "--hash=sha256:" in each)]


@pytest.mark.parametrize("lock", [*LOCKS, *(f"requirements/{layer}.txt" for layer in ("develop", "local", "operate"))])
def test_no_lock_file_names_a_registry(lock, root):
    text = (root / lock).read_text()
    assert "://" not in text
    assert "--index-url" not in text
    assert "--find-links" not in text


@pytest.mark.parametrize("lock", LOCKS)
def test_what_is_deployed_is_what_the_tests_ran_with(lock, root):
    developed = pins(root / "requirements/develop.txt")
    assert pins(root / lock).items() <= developed.items()


def test_the_index_function_goes_without_grpc(root):
    assert not {"grpcio", "protobuf", "opensearch-protobufs"} & set(pins(root / "functions/index/requirements.txt"))
