"""``python -m bidwitness``: how one process of ours starts another."""

from bidwitness.cli import main

main()
