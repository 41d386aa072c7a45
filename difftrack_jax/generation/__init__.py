"""Videos from tracklets: conditions, training objectives, sampling."""
