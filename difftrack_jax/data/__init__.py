"""Frames in: video files, folders, cameras, official folders of benchmarks, and procedural clips with full truth."""
