"""A page of the console that stays open, as a browser has it: it hears what is new, and asks for the changes then."""

import http.client
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

_LINK = re.compile(r"http://\S+/#token=([\w-]+)")


class Page:
    """`loads`: how often it asked for the changes."""

    def __init__(self, printed: str) -> None:
        """Raises LookupError if no link was printed."""
        found = _LINK.search(printed.replace("\n", ""))
        if found is None:
            raise LookupError(f"the console printed no link: {printed!r}")
        self.loads = 0
        self._host = urlsplit(found[0]).netloc
        self._headers = {"Authorization": f"Bearer {found[1]}"}
        self._events = http.client.HTTPConnection(self._host)

    def connect(self) -> None:
        """Raises OSError, LookupError if the console does not answer as a page needs it."""
        self._events.request("GET", "/api/events", headers=self._headers)

    def follow(self) -> None:
        """Until the console ends."""
        changes = http.client.HTTPConnection(self._host)
        try:
            for line in self._events.getresponse():
                if line.startswith(b"data: "):
                    json.loads(line[6:])
                    changes.request("GET", "/api/changes", headers=self._headers)
                    json.load(changes.getresponse())
                    self.loads += 1
        except (OSError, http.client.HTTPException):
            return
        finally:
            changes.close()
            self._events.close()


@contextmanager
def opened(printed: str) -> Iterator[Page]:
    """A page of the console whose link was printed."""
    page = Page(printed)
    page.connect()
    threading.Thread(target=page.follow, daemon=True, name="page").start()
    yield page
