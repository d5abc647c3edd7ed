"""Pulls streams from cameras and writes them to the spool as segments."""
