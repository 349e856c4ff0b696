"""Child processes that never outlive this one."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

TETHER = Path(__file__).with_name("tether.py")


class Child:
    """A process in a group of its own, so that an interrupt at the keyboard reaches only us and we stop it in order.

    Its standard input is a pipe that closes when this process ends, however it ends; the child must end with it.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], directory: Path, output: int | IO[bytes]
    ) -> None:
        self._process = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=directory,
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def output(self) -> IO[bytes]:
        """What it writes, if it was started with subprocess.PIPE."""
        assert self._process.stdout is not None
        return self._process.stdout

    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.poll() is None

    def wait(self) -> int:
        """Its exit status, once it has ended."""
        return self._process.wait()

    def kill(self) -> None:
        """Ends it at once, with whatever it started."""
        self._signal(signal.SIGKILL)

    def stop(self, seconds: float = 3.0) -> None:
        """Asks it to end, and ends it if it does not."""
        self._signal(signal.SIGTERM)
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def _signal(self, number: int) -> None:
        if self._process.poll() is None:
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                return
