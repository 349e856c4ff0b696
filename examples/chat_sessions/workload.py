"""Several callers who create, renew, close and update chats at once, and what they were told."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from examples.chat_sessions.writer import ChatError, ChatSessions
from local.aws import Aws

CALLERS = 4
USERS = tuple(f"user-{n}" for n in range(8))
CHARACTERS = ("ada", "bela", "chiyo")
BEGIN = datetime(2026, 9, 1, 8, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Journal:
    """What the writer confirmed: (user, chat) of each call. `refused`: how many calls could not be done."""

    created: list[tuple[str, str]] = field(default_factory=list)
    renewed: list[tuple[str, str]] = field(default_factory=list)
    closed: list[tuple[str, str]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)


class Clock:
    """Moves on 17 minutes with each look, so that a short run lasts some days. No two looks show the same."""

    def __init__(self) -> None:
        self._lock, self._looks = threading.Lock(), 0

    def __call__(self) -> datetime:
        """The time at this look."""
        with self._lock:
            self._looks += 1
            return BEGIN + self._looks * timedelta(minutes=17)


def run(aws: Aws, calls: int, seed: int = 1) -> Journal:
    """Makes so many calls, by several callers who share users and characters."""
    chats, journal = ChatSessions(aws.client("dynamodb"), Clock()), Journal()
    with ThreadPoolExecutor(CALLERS) as pool:
        work = [pool.submit(_caller, chats, journal, calls // CALLERS, f"{seed}/{n}") for n in range(CALLERS)]
        for each in work:
            each.result()
    return journal


def _caller(chats: ChatSessions, journal: Journal, calls: int, seed: str) -> None:
    draw = random.Random(seed)
    steps: tuple[Callable[[ChatSessions, Journal, random.Random, str, str], None], ...]
    steps = (_create, _create, _renew, _close, _update)
    for _ in range(calls):
        try:
            draw.choice(steps)(chats, journal, draw, draw.choice(USERS), draw.choice(CHARACTERS))
        except ChatError as error:
            journal.refused.append(str(error))


def _create(chats: ChatSessions, journal: Journal, draw: random.Random, user: str, character: str) -> None:
    journal.created.append((user, chats.create_chat(user, character, _version(draw)).chat_id))


def _renew(chats: ChatSessions, journal: Journal, draw: random.Random, user: str, character: str) -> None:
    journal.renewed.append((user, chats.renew_chat(user, character, _version(draw)).chat_id))


def _close(chats: ChatSessions, journal: Journal, _: random.Random, user: str, character: str) -> None:
    journal.closed.append((user, chats.delete_chat(user, character).chat_id))


def _update(chats: ChatSessions, _: Journal, draw: random.Random, user: str, character: str) -> None:
    if chat := chats.get_chat_by_user_and_ai(user, character):
        chats.update_ai_version_by_chat_id(chat.chat_id, _version(draw))


def _version(draw: random.Random) -> str:
    return f"v{draw.randint(1, 3)}"
