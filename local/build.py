"""Builds the layer and the functions by the Makefiles that SAM calls, and what a Lambda runtime brings."""

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from local.errors import LocalError
from local.template import Source, Template

_OVER = """
cp -R "$0/." "$2"
cd "$1"
find . -type d -exec rm -rf "$3/{}/__pycache__" ';'
cp -R . "$3"
"""
"""Copies folder $1 over the folder $3 of a copy of $0, in $2. The byte code beside a replaced file goes: a function's
Makefile may have compiled it so that Python never compares it with its source."""

_AT_ONCE = 4
TRUNK = "trunk"
"""The function that holds those of its branches."""

_RUNTIME_LOCK = Path(__file__).with_name("runtime-requirements.txt")


@dataclass(frozen=True, slots=True)
class Built:
    """Folders for `sys.path`: a function's own, the layers', the runtime's."""

    functions: Mapping[str, Path]
    layers: tuple[Path, ...]
    runtime: Path

    def path(self, function: str) -> tuple[Path, ...]:
        """What a function's process may import from, in Lambda's order."""
        return (self.functions[function], *self.layers, self.runtime)

    def version(self, function: str) -> str:
        """Another one for whatever else was built of the function and the layers."""
        stamps = [_stamp(folder).read_text() for folder in (self.functions[function], *(p.parent for p in self.layers))]
        return hashlib.sha256("".join(stamps).encode()).hexdigest()[:12]


def build(template: Template, names: Iterable[str], into: Path, declared: Mapping[str, Path] = {}) -> Built:
    """Builds what changed since it was last built there, all at the same time. `declared`: by function, a folder whose
    files take the place of the function's own, as if the user had written these declarations."""
    into = into.resolve()
    into.mkdir(parents=True, exist_ok=True)
    sources = {name: template.source(name) for name in names}
    with _alone(into), ThreadPoolExecutor(_AT_ONCE) as pool:
        runtime = pool.submit(_runtime, into / "runtime")
        layers = [pool.submit(_made, each, into / "layers" / each.logical_id) for each in template.layers()]
        functions = {
            name: pool.submit(_function, source, into / "functions" / name, _declared_for(name, declared))
            for name, source in sources.items()
        }
        return Built(
            {name: made.result() for name, made in functions.items()},
            tuple(layer.result() / "python" for layer in layers),
            runtime.result(),
        )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One build at a time in a folder, however many processes ask for it."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _declared_for(name: str, declared: Mapping[str, Path]) -> Mapping[str, Path]:
    """By the folder below the function's own: of the trunk, each of its branches has one that runs in it."""
    return declared if name == TRUNK else {"": declared[name]} if name in declared else {}


def _function(source: Source, target: Path, declared: Mapping[str, Path]) -> Path:
    made = _made(source, target)
    for below, folder in declared.items():
        if (made / below).is_dir():
            made = _declared(made, folder, below)
    return made


def _declared(made: Path, declared: Path, below: str) -> Path:
    """A built function with these files over its own, in a folder beside it that is named by what they hold."""
    if not declared.is_dir():
        raise LocalError(f"there is no folder {declared}: correct --declared")
    files, own = files_below(declared), made / below
    if not any((own / file.relative_to(declared)).exists() for file in files):
        named = ", ".join(file.name for file in files_below(own))
        raise LocalError(f"{declared} has no file that takes the place of one of {made.name}'s: these are {named}")
    digest = digest_of(files, declared)

    def command(artifacts: Path) -> list[str]:
        return ["sh", "-ec", _OVER, str(made), str(declared.resolve()), str(artifacts), str(artifacts / below)]

    return fresh(made.with_name(f"{made.name}-{digest[:12]}"), digest_of(files_below(made), made) + digest, command)


def _made(source: Source, target: Path) -> Path:
    def command(artifacts: Path) -> list[str]:
        folder = str(source.folder)
        variables = [f"ARTIFACTS_DIR={artifacts}", f"PYTHON={sys.executable}", "PLATFORM="]
        return ["make", "--silent", "-C", folder, f"build-{source.logical_id}", *variables]

    return fresh(target, digest_of(files_below(source.folder), source.folder), command)


def _runtime(target: Path) -> Path:
    def command(artifacts: Path) -> list[str]:
        quiet = ["--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]
        place = ["--only-binary=:all:", "--target", str(artifacts), "--requirement", str(_RUNTIME_LOCK)]
        return [sys.executable, "-m", "pip", "install", *quiet, *place]

    return fresh(target, digest_of([_RUNTIME_LOCK], _RUNTIME_LOCK.parent), command)


def fresh(target: Path, stamp: str, command: Callable[[Path], Sequence[str]]) -> Path:
    """The target, made anew beside itself and moved into place unless its stamp says that nothing changed."""
    stamp_file = _stamp(target)
    if target.is_dir() and stamp_file.exists() and stamp_file.read_text() == stamp:
        return target
    making = target.with_name(f"{target.name}.making")
    shutil.rmtree(making, ignore_errors=True)
    making.mkdir(parents=True)
    _run(command(making))
    shutil.rmtree(target, ignore_errors=True)
    making.rename(target)
    stamp_file.write_text(stamp)
    return target


def _stamp(target: Path) -> Path:
    return target.with_name(f"{target.name}.stamp")


def _run(command: Sequence[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)
    except FileNotFoundError:
        raise LocalError(f"{command[0]} is missing: install it with your system's packages") from None
    if done.returncode:
        said = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["it said nothing"]
        cause = next((line for line in said if line.startswith("ERROR")), said[0])
        raise LocalError(f"the build failed: {cause} (to see all of it: {' '.join(command)})")


def files_below(folder: Path) -> list[Path]:
    """All files in a folder, but for what Python compiled."""
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sorted(found)


def digest_of(files: Iterable[Path], folder: Path) -> str:
    """Of these files of a folder, their contents, and this Python."""
    digest = hashlib.sha256(f"{sys.executable} {sys.version}".encode())
    for file in files:
        digest.update(f"\0{file.relative_to(folder)}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()
