"""The code of a branch's function, loaded from its folder inside the trunk's.

Each folder is built as the function's own: its app.py, its declarations, its packages. Two of them may have modules of
one name, so what a folder needs is imported while that folder comes first, and is kept from the next one.
"""

import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from distributary.errors import ConfigError

_HANDLER = "app"


def load(root: Path, branch: str) -> ModuleType:
    """The module `app.py` of the branch's folder below `root`. Raises ConfigError if there is none, and what the module
    raises."""
    folder = (root / branch).resolve()
    spec = importlib.util.spec_from_file_location(f"{branch}_{_HANDLER}", folder / f"{_HANDLER}.py")
    if spec is None or spec.loader is None or not (folder / f"{_HANDLER}.py").exists():
        raise ConfigError(f"the trunk was built without {branch}: its folder has no {branch}/{_HANDLER}.py")
    _forget_namesakes(folder, root.resolve())
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(folder))
    try:
        spec.loader.exec_module(module)
    finally:
        # What its functions import later is found there still.
        sys.path.remove(str(folder))
        sys.path.append(str(folder))
    return module


@contextmanager
def service(branch: str) -> Iterator[None]:
    """What Powertools makes in this block, metrics and logs, has the branch as its service, as in its own function."""
    variable = "POWERTOOLS_SERVICE_NAME"
    before = os.environ.get(variable, "")
    os.environ[variable] = branch
    try:
        yield
    finally:
        os.environ[variable] = before


def _forget_namesakes(folder: Path, root: Path) -> None:
    """Modules of other branches' folders that this folder has as well. Whoever imported them keeps them."""
    own = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()} - {_HANDLER}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if name.partition(".")[0] in own and file and _elsewhere(Path(file), folder, root):
            del sys.modules[name]


def _elsewhere(file: Path, folder: Path, root: Path) -> bool:
    found = file.resolve()
    return found.is_relative_to(root) and not found.is_relative_to(folder)
