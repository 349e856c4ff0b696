"""What a function does once, before its first event."""

import gc
import os
from collections.abc import Callable

from distributary.consumer import marshaller

NEW_OBJECTS = 100_000
"""After how many more objects than have died the collector runs: those of 4,000 small changes. Python's default is 700,
with which a batch takes a tenth more time."""


def prepare(runtime: Callable[[], object]) -> None:
    """In Lambda's init phase: builds the function, and takes a stream's events as bytes from now on.

    The garbage collector does not run meanwhile, and is told to leave alone what is there by then. It stays as long as
    the process, and a batch makes so many objects that the collector would otherwise walk through all of it again for
    each batch. What a batch makes dies with it, and nearly all of it at once, so the collector looks for cycles less
    often than by default.
    Outside Lambda nothing is done.
    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
    """
    if "AWS_LAMBDA_INITIALIZATION_TYPE" not in os.environ:
        return
    marshaller.install()
    gc.disable()
    try:
        runtime()
    finally:
        gc.freeze()
        gc.set_threshold(NEW_OBJECTS, *gc.get_threshold()[1:])
        gc.enable()
