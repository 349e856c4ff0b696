"""A window of the archive as an incremental export. Used by a command only: no branch imports it."""
