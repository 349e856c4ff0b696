"""A table in two regions, both written to; the last change wins."""

from distributary.replicate.declarations import MultiActive, last_writer

REPLICA = MultiActive(regions=("us-east-1", "eu-west-1"), rule=last_writer("changed_at", "milliseconds"))
