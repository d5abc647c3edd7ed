"""Projects and sessions: what the index knows of them, and what commands and the clock do."""
