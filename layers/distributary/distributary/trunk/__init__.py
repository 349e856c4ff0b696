"""One reader for several branches: each has its own outcomes, and one that keeps failing holds up no other."""
