"""The index: the rows that say what exists, where it lies and what was done with it."""
