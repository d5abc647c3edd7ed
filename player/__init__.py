"""Gives recorded footage back: timeline, playlists, cut pieces, exports."""
