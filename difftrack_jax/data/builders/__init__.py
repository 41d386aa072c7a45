"""Official folders, one module a benchmark family; each module lists its classes in `BENCHMARKS` (see base.py)."""
