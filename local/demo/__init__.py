"""The demo: a real stream through the real functions, and the proof that every branch agrees with the source."""
