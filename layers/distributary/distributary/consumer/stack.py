"""Memory for calls, taken once for a batch."""

from collections.abc import Callable
from typing import ParamSpec, TypeVar

Given = ParamSpec("Given")
Result = TypeVar("Result")

PIECE_BYTES = 1 << 18
_WORD_BYTES = 8


def in_one_piece(function: Callable[Given, Result], *given: Given.args, **named: Given.kwargs) -> Result:
    """Calls a function. The calls that it makes find their memory in one piece of 256 KB.

    CPython takes memory for calls in pieces of 16 KB, or larger ones for a call that needs more, and gives a piece back
    as soon as a call returns across its end. A loop whose calls do so takes several times as long. How deep the stack
    is decides where that happens, and so whatever is wrapped around a handler.
    """
    return function(*given, **named)


# The least that does not fit into half a piece, so that half of one is left for the calls
in_one_piece.__code__ = in_one_piece.__code__.replace(co_stacksize=PIECE_BYTES // 2 // _WORD_BYTES)
