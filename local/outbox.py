"""The outbox: mail that was sent on this machine, as files that can be read."""

import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


def write(folder: Path, name: str, to: str, subject: str, text: str, html: str | None) -> list[Path]:
    """Writes a mail as NAME.txt, and its HTML, if it has any, as NAME.html. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    plain = folder / f"{name}.txt"
    plain.write_text(f"To: {to}\nSubject: {subject}\n\n{text}")
    if not html:
        return [plain]
    page = folder / f"{name}.html"
    page.write_text(html)
    return [plain, page]


def find(folder: Path, message_id: str) -> Path | None:
    """The file with the text of a message; None if it is not in this outbox."""
    return next(folder.glob(f"*-{_short(message_id)}.txt"), None)


class Sent(list[Mapping[str, Any]]):
    """The emulator's list of sent mail, which writes what is appended to the outbox as well."""

    def __init__(self, folder: Path, before: Iterable[Mapping[str, Any]] = ()) -> None:
        super().__init__(before)
        self._folder = folder

    def append(self, sent: Mapping[str, Any]) -> None:
        """Takes a mail as ministack records it."""

        def part(name: str) -> Any:
            return sent.get(f"Rendered{name}") or sent.get(name)

        to, stamp = ", ".join(sent.get("To", ())), time.strftime("%Y%m%dT%H%M%S", time.gmtime(sent["Timestamp"]))
        name = f"{stamp}-{re.sub('[^A-Za-z0-9@.+_-]', '_', to)[:80]}-{_short(sent['MessageId'])}"
        write(self._folder, name, to, part("Subject") or "", part("BodyText") or "", part("BodyHtml"))
        super().append(sent)


def install(module: Any, emails: Any, folder: Path) -> None:
    """Has a module of ministack, whose `emails` are all that was sent, keep them in the outbox as well."""
    answer = module._sent_emails_list

    def kept() -> Sent:
        found = answer()
        if not isinstance(found, Sent):
            found = emails["entries"] = Sent(folder, found)
        return found

    module._sent_emails_list = kept


def _short(message_id: str) -> str:
    return re.sub("[^0-9a-f]", "", message_id.rpartition("ministack-")[2])[:12]
