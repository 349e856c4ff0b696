"""Ours against what people use otherwise, side by side in one run."""
