"""One process needs none of it, and what it is told must make sense."""

import numpy as np
import pytest

from difftrack_jax.errors import UserError
from difftrack_jax.parallel import multihost


def test_a_process_on_its_own():
    multihost.initialize("", None)
    assert multihost.is_first()
    np.testing.assert_array_equal(multihost.agree(np.arange(3)), np.arange(3))
    done = []
    multihost.first_alone(lambda: done.append(1))
    assert done == [1]
    assert list(multihost.share_of(range(5))) == [0, 1, 2, 3, 4]


def test_errors_of_the_first_process_are_its_own():
    def fail():
        raise UserError("no such folder")

    with pytest.raises(UserError, match="no such folder"):
        multihost.first_alone(fail)


@pytest.mark.parametrize("spec", ["here", "host,2,0", "host:1,2,2", "host:1,2", "host:1,two,0"])
def test_wrong_addresses_are_refused_before_anything_is_joined(spec):
    with pytest.raises(UserError, match="must be auto, or HOST:PORT,PROCESSES,INDEX"):
        multihost.initialize(spec, "runs/x")


def test_processes_must_be_given_the_folder_they_share():
    with pytest.raises(UserError, match="give the --workdir that all processes share"):
        multihost.initialize("host:1,2,0", None)
