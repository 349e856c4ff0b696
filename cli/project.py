"""The user's project: where it is, and what its functions declare."""

import linecache
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from cli import shapes
from cli.errors import DeclarationFaults, UsageFault
from distributary.consumer.declared import cause, place
from distributary.errors import ConfigError
from distributary.stream.entity import Entity, other_keys


@dataclass(frozen=True, slots=True)
class Declares:
    """What a function's folder declares: a name in a module, and the check of its slice."""

    module: str
    name: str
    slice: str
    entities: Callable[[Any], Mapping[str, Entity]]
    """Of checked declarations, the entities, by what names the declaration."""
    optional: bool = False

    def check(self, declared: Any) -> Any:
        """The types, then the slice's own check. Raises ConfigError."""
        if wrong := shapes.faults(self.name, declared):
            raise ConfigError(wrong)
        return import_module(self.slice).check(declared)


def _by_name(kind: str, declared: Iterable[Any]) -> dict[str, Entity]:
    return {f"{kind} '{each.name}'": each.of for each in declared}


def _of_views(views: Any) -> dict[str, Entity]:
    return _by_name("view", (view.declared for view in views))


def _of_indexes(sources: Any) -> dict[str, Entity]:
    return _by_name("index", (source.declared for source in sources))


def _of_rules(rules: Any) -> dict[str, Entity]:
    return _by_name("rule", rules)


def _of_replica(replica: Any) -> dict[str, Entity]:
    return {"mirror": entity} if (entity := getattr(replica, "of", None)) else {}


DECLARES = {
    "derive": Declares("views", "VIEWS", "distributary.derive", _of_views),
    "index": Declares("indexes", "INDEXES", "distributary.index", _of_indexes),
    "welcome": Declares("rules", "RULES", "distributary.welcome.rules", _of_rules),
    "replicate": Declares("replica", "REPLICA", "distributary.replicate.declarations", _of_replica, optional=True),
}

FUNCTIONS = (*DECLARES, "archive")
"""All that read a stream; archive has no declarations."""


@dataclass(frozen=True, slots=True)
class Found:
    """A project's folder; `declared` names folders whose files take the place of a function's own."""

    folder: Path
    declared: Mapping[str, Path]

    def folders(self, function: str) -> list[Path]:
        """Where a function's declarations are, the first one first."""
        own = self.folder / "functions" / function
        return [self.declared[function], own] if function in self.declared else [own]


def find(start: Path, declared: Mapping[str, Path] = {}) -> Found:
    """The folder itself or its nearest parent with template.yaml and functions/. Raises UsageFault."""
    for folder in (start.resolve(), *start.resolve().parents):
        if (folder / "template.yaml").is_file() and (folder / "functions").is_dir():
            return Found(folder, declared)
    raise UsageFault(f"{start.resolve()} is not in a project: no folder above has template.yaml and functions/")


def check(project: Found, functions: Sequence[str]) -> None:
    """Imports and checks the declarations of these functions, as `faults` does. Raises DeclarationFaults with every
    fault of all."""
    if found := [fault for function in functions for fault in faults(project, function)]:
        raise DeclarationFaults(found)


def faults(project: Found, function: str, keys: Sequence[str] = (), table: str = "") -> list[str]:
    """The faults of a function's declarations, one line each. `keys`: a source table's key attributes, if known;
    `table`: its name."""
    try:
        with declarations(project, function, keys, table):
            return []
    except DeclarationFaults as error:
        return error.faults


@contextmanager
def declarations(project: Found, function: str, keys: Sequence[str] = (), table: str = "") -> Iterator[Any]:
    """A function's declarations, checked as `faults` does; its modules can be imported while the block runs. Raises
    DeclarationFaults."""
    if function not in DECLARES:
        yield None
        return
    declares, folders = DECLARES[function], project.folders(function)
    file = next((path for folder in folders if (path := folder / f"{declares.module}.py").is_file()), None)
    shown = _shown(file or folders[-1] / f"{declares.module}.py", project.folder)
    if file is None and not declares.optional:
        raise DeclarationFaults([f"{shown} is missing: it declares {declares.name}"])
    with _importable(folders):
        if file is None:
            yield None
            return
        module = _guarded(lambda: import_module(declares.module), folders, project.folder, shown)
        if not hasattr(module, declares.name):
            raise DeclarationFaults([f"{shown}: it does not define {declares.name}"])
        given = getattr(module, declares.name)
        checked = _guarded(lambda: declares.check(given), folders, project.folder, shown)
        entities = declares.entities(checked).items()
        of = {name: entity for name, entity in entities if not table or entity.table in (None, table)}
        if found := other_keys(of, keys) if keys else []:
            raise DeclarationFaults([f"{shown}: {fault}" for fault in found])
        yield checked


@contextmanager
def _importable(folders: Sequence[Path]) -> Iterator[None]:
    """Modules of these folders are imported from there, and forgotten afterwards: each function has an app.py."""
    names = {path.stem for folder in folders if folder.is_dir() for path in folder.iterdir()}

    def take() -> dict[str, Any]:
        return {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] in names}

    before, paths, writes = take(), list(sys.path), sys.dont_write_bytecode
    sys.path[:0] = [str(folder.resolve()) for folder in folders]
    sys.dont_write_bytecode = True
    linecache.checkcache()
    try:
        yield
    finally:
        take()
        sys.modules.update(before)
        sys.path[:], sys.dont_write_bytecode = paths, writes


def _guarded(step: Callable[[], Any], folders: Sequence[Path], root: Path, shown: str) -> Any:
    try:
        return step()
    except ConfigError as error:
        raise DeclarationFaults([f"{shown}: {_line(fault)}" for fault in error.faults]) from None
    except Exception as error:  # noqa: BLE001
        found = place(error, folders)
        where = f"{_shown(found[0], root)}:{found[1]}" if found else shown
        raise DeclarationFaults([f"{where}: {cause(error)}"]) from None


def _line(text: str) -> str:
    return " ".join(text.split())


def _shown(path: Path, root: Path) -> str:
    path = path.resolve()
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
