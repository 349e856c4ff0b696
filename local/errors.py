"""Errors that end a local run with one line."""


class LocalError(Exception):
    """A failure that the user can fix: its text is one line that says what is wrong and what to do."""
