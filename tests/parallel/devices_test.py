"""Eight devices, and two processes of four, find what one finds.

Everything runs in a few processes with devices of their own (worker.py). Tolerances: sums over devices are taken in
another order, so float32 results agree to some 1e-5; exported weights are float16.
"""

import os
import pathlib
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest

from .. import quick_compile

WORKER = pathlib.Path(__file__).with_name("worker.py")


def launch(folder, devices, distributed, tasks):
    flags = quick_compile.with_flags(f"--xla_force_host_platform_device_count={devices}")
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, str(WORKER), str(folder), distributed, *tasks]
    return subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )


def finish(processes):
    for process in processes:
        text, _ = process.communicate(timeout=3000)
        assert process.returncode == 0, text[-4000:]


def read(folder, task, process=0):
    return dict(np.load(folder / f"{task}-{process}.npz"))


@pytest.fixture(scope="module")
def eight(tmp_path_factory):
    """The cheap tasks on eight devices."""
    folder = tmp_path_factory.mktemp("eight")
    finish([launch(folder, 8, "", ["loop", "clips", "pmap"])])
    return folder


def in_two_processes(folder, tasks):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    finish([launch(folder, 4, f"{address},2,{index}", tasks) for index in range(2)])


@pytest.fixture(scope="module")
def two(tmp_path_factory, eight):
    """The same in two processes of four devices, and a training that one process of eight has begun."""
    folder = tmp_path_factory.mktemp("two")
    shutil.copytree(eight / "loop-(1, 8)-False", folder / "saved")
    in_two_processes(folder, ["loop", "moved", "clips"])
    return folder


def assert_same_training(found, name, one):
    """Evaluations in float32, exported weights in float16."""
    for key in [key for key in one if key.startswith("(1, 1)/False/")]:
        leaf = key.rsplit("/", 1)[1] if "eval" not in key else key.removeprefix("(1, 1)/False/")
        tolerance = 1e-5 if "eval" in key else 2e-3
        other = found[f"{name}/{leaf}"].astype(np.float64)
        np.testing.assert_allclose(other, one[key].astype(np.float64), rtol=tolerance, atol=tolerance, err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("mesh", ["(0, 1)", "(2, 4)", "(1, 8)"])
def test_training_on_eight_devices_is_training_on_one(eight, mesh):
    found = read(eight, "loop")
    assert_same_training(found, f"{mesh}/False", found)


@pytest.mark.slow
@pytest.mark.parametrize("mesh", ["(0, 1)", "(2, 4)", "(1, 8)"])
def test_batches_that_were_read_are_shared_out_in_micro_batches_too(eight, mesh):
    found = read(eight, "loop")
    one = {key.replace("True", "False"): value for key, value in found.items() if key.startswith("(1, 1)/True")}
    assert not np.allclose(one["(1, 1)/False/w"], found["(1, 1)/False/w"], atol=1e-2)  # other data
    assert_same_training(found, f"{mesh}/True", one)


@pytest.mark.slow
@pytest.mark.parametrize("move", ["(0, 1) moved to (1, 1)", "(1, 1) moved to (2, 4)"])
def test_a_checkpoint_goes_on_upon_another_mesh(eight, move):
    found = read(eight, "loop")
    assert_same_training(found, move, found)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["(0, 1)/False", "(2, 4)/False", "(0, 1) moved to (2, 4)"])
def test_two_processes_of_four_devices_train_as_one_device_does(eight, two, name):
    assert_same_training(read(two, "loop"), name, read(eight, "loop"))


@pytest.mark.slow
def test_a_checkpoint_of_eight_devices_goes_on_in_two_processes(eight, two):
    assert_same_training(read(two, "moved"), "moved", read(eight, "loop"))


@pytest.mark.slow
def test_two_processes_read_half_a_batch_each(eight, two):
    one = {key.replace("True", "False"): value for key, value in read(eight, "loop").items() if "(1, 1)/True" in key}
    assert_same_training(read(two, "loop"), "(2, 4)/True", one)


@pytest.mark.slow
def test_a_fleet_is_what_pmap_was(eight):
    found = read(eight, "pmap")
    np.testing.assert_allclose(found["each"], found["pmap"], rtol=1e-6)
    np.testing.assert_allclose(found["each"], found["alone"], rtol=1e-6)


@pytest.mark.slow
def test_clips_made_at_once_are_those_made_alone(eight, two):
    found = read(eight, "clips")
    for number in range(9):  # nine on eight devices: some make two, some idle
        assert np.ptp(found[f"alone/{number}"]) > 10
        np.testing.assert_array_equal(found[f"fleet/{number}"], found[f"alone/{number}"])
    np.testing.assert_array_equal(found["by frames"], found["alone/0"])
    for number in range(8):
        other = read(two, "clips", number % 2)[f"fleet/{number}"]
        np.testing.assert_array_equal(other, found[f"alone/{number}"])


@pytest.mark.slow
def test_trackers_of_a_fleet_find_and_tune_as_each_would_alone(tmp_path):
    """On eight devices and in two processes of four; boxes agree to a thousandth of a pixel."""
    finish([launch(tmp_path, 8, "", ["fleet"])])
    found = read(tmp_path, "fleet")
    alone = {key: value for key, value in found.items() if key.startswith("alone/")}
    assert len(alone) == sum(2 if number % 4 else 1 for number in range(9))
    assert all(found[f"tuned/{number}"].max() > 1e-4 for number in range(9))
    for key, value in alone.items():
        np.testing.assert_allclose(found[key.replace("alone", "fleet")], value, atol=1e-3, err_msg=key)
    in_two_processes(tmp_path, ["fleet"])
    both = read(tmp_path, "fleet", 0) | read(tmp_path, "fleet", 1)
    for key, value in alone.items():
        if "/8/" not in key:
            np.testing.assert_allclose(both[key.replace("alone", "fleet")], value, atol=1e-3, err_msg=key)


@pytest.mark.slow
@pytest.mark.parametrize(("network", "processes"), [("tracker", 2), ("generator", 1)])
def test_a_step_of_each_network_is_the_same_on_a_mesh(tmp_path, network, processes):
    """Of eight devices, and of two processes of four; parameters move by a gradient of norm one, in the whole.

    Between processes both go the same way, so the one that compiles faster goes it.
    """
    finish([launch(tmp_path, 8, "", [network])])
    one = read(tmp_path, network)
    everywhere = [one]
    if processes > 1:
        in_two_processes(tmp_path, [network])
        everywhere += [read(tmp_path, network, index) for index in range(processes)]
    for found in everywhere:
        for name in [key.removeprefix("(1, 1)/") for key in one if key.startswith("(1, 1)/") and "held" not in key]:
            tolerance = dict(atol=1e-5) if name == "params" else dict(rtol=1e-3, atol=1e-5)
            np.testing.assert_allclose(
                found[f"(2, 4)/{name}"], one[f"(1, 1)/{name}"], err_msg=f"{network} {name}", **tolerance
            )
        assert found["(2, 4)/held"] < 0.5  # four devices share the parameters; only small ones stay whole
    assert one["(1, 1)/held"] == 1
    assert one["(1, 1)/gradient_norm"] > 0
