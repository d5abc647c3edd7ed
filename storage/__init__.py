"""Where bytes and rows are kept: the index, the object store, the spool, the evidence."""
