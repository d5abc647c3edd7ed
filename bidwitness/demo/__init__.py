"""``bidwitness demo``: virtual cameras and everything else, started and driven as a user would.

The demo starts processes and speaks REST; it reaches into no other folder.
"""
