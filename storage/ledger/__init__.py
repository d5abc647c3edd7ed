"""The log of a site: its keys, its tiles on disk, and what goes into it. See docs/ledger.md."""
