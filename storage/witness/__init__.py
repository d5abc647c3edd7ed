"""A witness of logs: another organisation's service that cosigns what only ever grew."""
