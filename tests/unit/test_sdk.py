"""The SDK is the runtime's, in a version that Lambda chooses: the layer uses only what the SDK documents."""

import ast
import re
from pathlib import Path

import pytest

LAYER = Path(__file__).parents[2] / "layers/distributary/distributary"
SDK = ("boto3", "botocore")


def uses_the_sdk(path):
    return re.search(r"^\s*(import|from) (boto3|botocore)", path.read_text(), re.M)


USERS = [path for path in sorted(LAYER.rglob("*.py")) if uses_the_sdk(path)]


def private(name):
    return name.startswith("_") and not name.startswith("__")


@pytest.mark.parametrize("path", USERS, ids=lambda path: str(path.relative_to(LAYER)))
def test_no_private_attribute_of_the_sdk_is_used(path):
    tree = ast.parse(path.read_text())
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef | ast.FunctionDef)} | {"self", "cls"}
    found = [
        ast.unparse(node)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and private(node.attr) and ast.unparse(node.value) not in own
    ]
    found += [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(SDK)
        for alias in node.names
        if private(alias.name)
    ]
    assert found == []
