"""Compiled programs: kept from run to run in a user cache folder, made ahead of time, asked what memory they need."""

import os
import time
from typing import Any

import jax


def use_cache() -> None:
    """Turn the persistent compilation cache on; JAX_COMPILATION_CACHE_DIR and XDG_CACHE_HOME are honoured."""
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        jax.config.update("jax_compilation_cache_dir", os.path.join(home, "difftrack_jax", "xla"))
    # Caches inside XLA would make a program's key depend on where the cache lies.
    jax.config.update("jax_persistent_cache_enable_xla_caches", "none")
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def ahead_of_time(jitted: Any, *args: Any) -> tuple[jax.stages.Compiled, float]:
    """A jitted function compiled for arguments, or for their shapes; and the seconds it took."""
    begun = time.monotonic()
    return jitted.lower(*args).compile(), time.monotonic() - begun


def memory(compiled: jax.stages.Compiled) -> dict[str, float]:
    """Megabytes a device needs: to hold the arguments and results (once, where donated), and while it computes."""
    found = compiled.memory_analysis()
    if found is None:  # a backend that does not tell
        return {}
    held = found.argument_size_in_bytes + found.output_size_in_bytes - found.alias_size_in_bytes
    sizes = {"held_mb": held, "working_mb": found.temp_size_in_bytes, "code_mb": found.generated_code_size_in_bytes}
    return {name: round(size / 2**20, 1) for name, size in {**sizes, "total_mb": sum(sizes.values())}.items()}
