"""Reading where a target went from the attention of a frame interpolator."""
