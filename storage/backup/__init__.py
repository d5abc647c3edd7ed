"""Backups of what cannot be made again from footage: the index, the log, and, sealed, the keys."""
