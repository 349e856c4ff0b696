"""What a function does once, before its first event."""

import gc
import os
from collections.abc import Callable

from distributary.consumer import marshaller


def prepare(runtime: Callable[[], object]) -> None:
    """In Lambda's init phase: builds the function, and takes a stream's events as bytes from now on.

    The garbage collector is told to leave alone what is there by now. It stays as long as the process, and a batch
    makes so many objects that the collector would otherwise walk through all of it again for each batch.
    Outside Lambda nothing is done.
    https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
    """
    if "AWS_LAMBDA_INITIALIZATION_TYPE" not in os.environ:
        return
    marshaller.install()
    runtime()
    gc.freeze()
