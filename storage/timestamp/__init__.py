"""A small time-stamping authority (RFC 3161), for networks that reach no other."""
