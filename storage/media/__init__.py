"""The stored form of media: reading and writing fragmented MP4, and G.711. Pure: no files, no clock."""
