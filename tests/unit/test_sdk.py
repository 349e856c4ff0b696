"""The SDK is the runtime's, in a version that Lambda chooses: the layer uses only what the SDK documents."""

import ast
from pathlib import Path

import pytest

LAYER = Path(__file__).parents[2] / "layers/distributary/distributary"
SDK = ("boto3", "botocore")


def users():
    for path in sorted(LAYER.rglob("*.py")):
        tree = ast.parse(path.read_text())
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        if any(ast.unparse(node).split()[1].startswith(SDK) for node in imports):
            yield pytest.param(tree, id=str(path.relative_to(LAYER)))


def private(name):
    return name.startswith("_") and not name.startswith("__")


@pytest.mark.parametrize("tree", list(users()))
def test_no_private_attribute_of_the_sdk_is_used(tree):
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
