"""Decides how long footage is kept, and what may be deleted."""
