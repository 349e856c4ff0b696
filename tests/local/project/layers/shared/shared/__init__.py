"""A layer."""

NAME = "the layer"
