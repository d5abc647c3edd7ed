"""The audit trail and its like, held against what the log of the site committed to."""
