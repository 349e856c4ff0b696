"""Programs for Node: their locked packages from npm, and what they print."""

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from local.build import digest_of, files_below, fresh
from local.errors import LocalError

_ROOT = Path(__file__).resolve().parents[1]
_INSTALL = """cp -R "$1"/. "$2"; cd "$2"; exec npm ci --ignore-scripts --no-audit --no-fund --loglevel=error"""
_SECONDS = 300
_ERROR = re.compile(r"\w*Error\b").match


def installed(locked: Path, name: str) -> Path:
    """A copy of a folder, in .build/node/<name>, with the packages that its lock file names. No package runs a program
    when it is installed. Raises LocalError where Node or npm is missing, or npm gets no package."""
    missing = [tool for tool in ("node", "npm") if not shutil.which(tool)]
    if missing:
        raise LocalError(f"{' and '.join(missing)} must be on the PATH: install Node 20 or newer")

    def command(folder: Path) -> list[str]:
        return ["sh", "-ec", _INSTALL, "sh", str(locked), str(folder)]

    return fresh(_ROOT / ".build/node" / name, digest_of(files_below(locked), locked), command)


def node_of(folder: Path, major: int) -> str:
    """Node of at least this version: the one on the PATH, or the one that a folder's packages bring along. LocalError
    if there is none."""
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=False).stdout
    if said and int(said.lstrip("v").split(".")[0]) >= major:
        return "node"
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    found = folder / f"node_modules/node-{sys.platform}-{machine}/bin/node"
    if not found.exists():
        raise LocalError(f"Node {said.strip()} is too old: install Node {major} or newer")
    return str(found)


def output(folder: Path, program: str, arguments: Sequence[str], node: str = "node") -> str:
    """What a program prints. Raises LocalError with what it said if it fails."""
    command = [node, program, *arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise LocalError(f"{program} did not end within {_SECONDS} s") from None
    if done.returncode:
        said = next((line for line in done.stderr.splitlines() if _ERROR(line)), done.stderr.strip()[-300:])
        raise LocalError(f"{program} failed: {said}")
    return done.stdout
