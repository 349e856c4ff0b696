"""A declared index moved to a new generation of it, while the stream goes on and readers read."""
