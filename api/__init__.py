"""The REST interface and the built UI."""
