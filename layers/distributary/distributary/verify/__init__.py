"""What a branch keeps, held against its source while the stream goes on: `python -m distributary.verify`."""
