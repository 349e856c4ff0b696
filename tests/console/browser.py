"""What the browser tests need beside Playwright: a Chromium of this machine, and axe-core from npm."""

import base64
import hashlib
import shutil
import subprocess
import tarfile
from pathlib import Path

CHROMIUMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
AXE = "axe-core@4.14.1"
INTEGRITY = "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ=="
"""What npm says of the package's archive."""

CACHE = Path(__file__).resolve().parents[2] / ".build" / "axe"


class Missing(Exception):
    """What is not there, and how to get it."""


def chromium() -> str:
    """The browser's path."""
    found = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    if found is None:
        raise Missing(
            f"none of {', '.join(CHROMIUMS)} is on the PATH: install Chromium, on Debian `apt install chromium`"
        )
    return found


def axe() -> str:
    """The source of axe-core, fetched once; its archive is what was pinned."""
    name, version = AXE.split("@")
    archive = CACHE / f"{name}-{version}.tgz"
    if not archive.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        if shutil.which("npm") is None:
            raise Missing("`npm` is not on the PATH: install Node 20 or newer")
        done = subprocess.run(["npm", "pack", "--silent", AXE], cwd=CACHE, capture_output=True, text=True)
        if done.returncode or not archive.exists():
            raise Missing(f"npm could not fetch {AXE}: {(done.stdout + done.stderr).strip()[-300:]}")
    digest = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != INTEGRITY:
        raise Missing(f"{archive} is not {AXE} as it was pinned: remove it, and fetch it again")
    with tarfile.open(archive) as files:
        source = files.extractfile("package/axe.min.js")
        assert source is not None
        return source.read().decode()
