"""Your replica: which items another region has, and what of them; see README.md."""

from distributary.replicate.declarations import Mirror

REPLICA = Mirror()
