"""Alarms about streams, and telling them to others."""
