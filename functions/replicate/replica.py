"""Your replica: which items another region has, and what of them; see README.md."""

from distributary.replicate import Mirror

REPLICA = Mirror()
