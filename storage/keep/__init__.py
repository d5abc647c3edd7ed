"""What `keep` does for the footage: it is the only remover of bytes in spool and store.

See docs/keeping.md for the life of a segment, step by step.
"""
