"""Frames in: video files, folders, cameras, and procedural clips with full ground truth."""
