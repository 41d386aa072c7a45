"""Networks as Flax modules, with their named sizes."""
