"""One mesh for everything: `data` x `fsdp` devices.

A batch is shared out over both axes. Over `fsdp` parameters are shared out too, and gathered layer by layer while they
are used (fully sharded data parallel, ZeRO-3); over `data` every row of devices has a copy of them.

    with jax.set_mesh(make_mesh(data=2, fsdp=4)):
        ...
"""

import math
from collections.abc import Sequence

import jax
from absl import logging
from jax.sharding import AxisType, Mesh

from difftrack_jax.errors import UserError

DATA, FSDP = "data", "fsdp"


def make_mesh(
    data: int = 0, fsdp: int = 1, batch: int | None = None, devices: Sequence[jax.Device] | None = None
) -> Mesh:
    """A mesh over all devices of all processes, or the given ones.

    data: rows of devices, 0 for as many as there are. fsdp: devices that share a copy of the parameters. batch: size of
    what will be shared out; where `data` is 0, a single process takes only as many devices as divide it. Raises
    UserError when the numbers do not fit.
    """
    devices = list(jax.devices() if devices is None else devices)
    several = len({device.process_index for device in devices}) > 1
    if data < 0 or fsdp < 1 or max(data, 1) * fsdp > len(devices):
        raise UserError(f"mesh of {data} x {fsdp}: there are {len(devices)} devices (data=0 takes as many as fit)")
    rows = data or len(devices) // fsdp
    if batch is not None and batch % (rows * fsdp):
        if data or several or batch % fsdp:
            raise UserError(f"batch {batch}: must be a multiple of the {rows * fsdp} devices of the mesh")
        rows = math.gcd(batch // fsdp, rows)
        logging.info("mesh: a batch of %d keeps %d of %d devices busy", batch, rows * fsdp, len(devices))
    if several and rows * fsdp != len(devices):
        raise UserError(f"mesh of {rows} x {fsdp}: several processes take part with all {len(devices)} devices or none")
    # Auto, because the default (Explicit) refuses dropout and reshapes that split a sharded axis.
    return jax.make_mesh((rows, fsdp), (DATA, FSDP), (AxisType.Auto,) * 2, devices=devices[: rows * fsdp])
