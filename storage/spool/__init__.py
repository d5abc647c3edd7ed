"""The spool: where a recorder writes segments first. One writer a stream, readers in any process."""
