"""Frames and tracks out: overlays, video files, track files."""
