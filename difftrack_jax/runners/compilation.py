"""Compiled programs are kept from run to run, in a user cache folder."""

import os

import jax


def use_cache() -> None:
    """Turn the persistent compilation cache on; JAX_COMPILATION_CACHE_DIR and XDG_CACHE_HOME are honoured."""
    if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        home = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
        jax.config.update("jax_compilation_cache_dir", os.path.join(home, "difftrack_jax", "xla"))
    # Caches inside XLA would make a program's key depend on where the cache lies.
    jax.config.update("jax_persistent_cache_enable_xla_caches", "none")
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)
