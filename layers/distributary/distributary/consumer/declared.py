"""Loading what the user declares: whatever stops it is one line with file, line and cause."""

import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from distributary.errors import ConfigError


@contextmanager
def declared_beside(file: str) -> Iterator[None]:
    """A block that imports declarations from the folder of this file. Raises ConfigError for whatever the block raises:
    Lambda logs it when the function starts."""
    folder = Path(file).resolve().parent
    try:
        yield
    except ConfigError:
        raise
    except Exception as error:  # noqa: BLE001
        found = place(error, [folder])
        where = f"{found[0].relative_to(folder)}:{found[1]}: " if found else ""
        raise ConfigError(where + cause(error)) from None


def place(error: Exception, folders: Sequence[Path]) -> tuple[Path, int] | None:
    """The file in these folders, and the line of it, where the error arose last; None if it arose in none of them."""
    places = [(frame.filename, frame.lineno) for frame in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError):
        places.append((error.filename or "", error.lineno))
    own = [folder.resolve() for folder in folders]
    found = [(Path(file).resolve(), line or 0) for file, line in places]
    return next((each for each in reversed(found) if any(each[0].is_relative_to(folder) for folder in own)), None)


def cause(error: Exception) -> str:
    """The error's type and text in one line."""
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {' '.join(text.split())}"
