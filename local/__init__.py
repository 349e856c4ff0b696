"""Distributary on one machine: embedded AWS, Lambda's runtime, a faithful event source mapping. Never deployed."""
