"""The rule that places parameters, on shapes alone."""

import jax
import numpy as np
import pytest

from difftrack_jax.errors import UserError
from difftrack_jax.models import variants
from difftrack_jax.models.unet_adm import UNetADM
from difftrack_jax.parallel import sharding
from difftrack_jax.parallel.mesh import make_mesh


@pytest.mark.parametrize(
    ("shape", "devices", "axes"),
    [
        ((3, 3, 320, 640), 8, (None, None, None, "fsdp")),
        ((3, 3, 640, 320), 8, (None, None, "fsdp", None)),
        ((512, 512), 8, (None, "fsdp")),  # of equal ones the last
        ((4097, 7), 8, ()),  # nothing divides
        ((640,), 8, ()),  # too small
        ((3, 3, 320, 640), 1, ()),
    ],
)
def test_the_longest_axis_that_divides_is_cut(shape, devices, axes):
    assert sharding.parameter_spec(shape, devices) == jax.P(*axes)


def test_published_networks_are_shared_out_almost_whole():
    """Of ADM's 550 million parameters, each of 8 devices holds little more than an eighth."""
    net = UNetADM(**variants.ADM["adm256"])
    image, time = (jax.ShapeDtypeStruct(shape, np.float32) for shape in ((1, 64, 64, 3), (1,)))
    shapes = jax.tree.leaves(jax.eval_shape(net.init, jax.random.key(0), image, time)["params"])
    held = sum(leaf.size / (8 if any(sharding.parameter_spec(leaf.shape, 8)) else 1) for leaf in shapes)
    assert held / sum(leaf.size for leaf in shapes) < 0.13


def test_bytes_a_device_are_those_of_its_shards():
    # Shapes on eight devices, of which there need be none: an abstract mesh is enough.
    mesh = jax.sharding.AbstractMesh((1, 8), ("data", "fsdp"))
    cut, whole = (jax.sharding.NamedSharding(mesh, spec) for spec in (jax.P(None, "fsdp"), jax.P()))
    tree = [jax.ShapeDtypeStruct((10, 80), np.float32, sharding=place) for place in (cut, whole)]
    assert sharding.bytes_a_device(tree) == 4 * (100 + 800)


def test_one_device_is_a_mesh_too():
    mesh = make_mesh(batch=6)
    assert dict(mesh.shape) == {"data": 1, "fsdp": 1}
    with jax.set_mesh(mesh):
        x = jax.jit(sharding.share)(np.ones((6, 2)))
    np.testing.assert_array_equal(x, np.ones((6, 2)))
    assert sharding.share({"x": 1.0}) == {"x": 1.0}  # no mesh: as it was


@pytest.mark.parametrize(
    ("numbers", "says"),
    [
        (dict(data=2), "mesh of 2 x 1: there are 1 devices"),
        (dict(fsdp=0), "mesh of 0 x 0"),
        (dict(data=-1), "mesh of -1 x 1"),
    ],
)
def test_meshes_that_do_not_fit_are_refused(numbers, says):
    with pytest.raises(UserError, match=says):
        make_mesh(**numbers)
