"""The demo: sends a real stream through the real functions, and compares every branch with the source."""
