"""Items that regions merge: what is known of each, as a join semilattice, and what a change adds to it."""
