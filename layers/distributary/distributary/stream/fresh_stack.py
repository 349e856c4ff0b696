"""Decoding as deep as the runtime does, which decodes before it calls a handler, near the beginning of the stack."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Read = TypeVar("Read")


def on_fresh_stack(decode: Callable[[bytes], Read], text: bytes) -> Read:
    """What `decode` gives in a thread of its own. Python bounds how deep calls and a text's levels may be together."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(decode, text).result()
