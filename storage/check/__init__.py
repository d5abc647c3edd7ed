"""``bidwitness check``: what is kept is looked at again, byte by byte and row by row."""
