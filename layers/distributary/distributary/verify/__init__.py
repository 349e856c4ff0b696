"""Comparisons of what is downstream with its source, while the stream goes on: `distributary verify`."""
