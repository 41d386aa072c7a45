"""Official file formats, one module each: a reader into `Rows`, and a writer of what the official evaluators take."""
