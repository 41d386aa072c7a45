"""XLA spends most of this suite optimising programs that run once. Told not to, it takes a third of the time.

Set before anything compiles, and in the environment, so that the processes which tests start have them too. XLA ends
a process that gives it a flag it does not know, so the flags are tried on one first.
"""

import os
import subprocess
import sys

FLAGS = (
    "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true "
    "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
)


def with_flags(more: str = "") -> str:
    """XLA_FLAGS as they are and more."""
    return f"{os.environ.get('XLA_FLAGS', '')} {more}".strip()


def set_up() -> None:
    """Set the flags, unless they are set already (by the process that started this one) or not known."""
    if FLAGS in os.environ.get("XLA_FLAGS", ""):
        return
    environment = {**os.environ, "XLA_FLAGS": with_flags(FLAGS), "JAX_PLATFORMS": "cpu"}
    tried = subprocess.run([sys.executable, "-c", "import jax; jax.devices()"], env=environment, capture_output=True)
    if tried.returncode == 0:
        os.environ["XLA_FLAGS"] = environment["XLA_FLAGS"]
