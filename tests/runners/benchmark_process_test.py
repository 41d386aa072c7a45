"""Processes and devices: two do what one does, a kill costs one sequence, and a failure is heard by all."""

import json
import os
import pathlib
import socket
import subprocess
import sys
import time

import jax.numpy as jnp
import pytest

from difftrack_jax.checkpoints import bundled
from difftrack_jax.models import variants
from difftrack_jax.models.unet_adm import UNetADM

from .. import quick_compile
from ..data.builders.layouts import images, make, text

HERE = pathlib.Path(__file__).resolve().parent
CONFIGS = HERE.parents[1] / "configs" / "track"


def start(recipe, data, out, distributed="", pause=0.0):
    command = [sys.executable, HERE / "walker_process.py", CONFIGS / f"{recipe}.py", data, out, distributed, pause]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    return subprocess.Popen([*map(str, command)], cwd=HERE.parents[1], **pipes)


def finish(process, code=0):
    text, _ = process.communicate(timeout=240)
    assert process.returncode == code, text[-3000:]
    return text


def address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def predictions(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.slow
def test_two_processes_do_what_one_does(tmp_path):
    data, alone, shared = make("mot17", tmp_path / "official"), tmp_path / "alone", tmp_path / "shared"
    finish(start("mot17", data, alone))
    where = address()
    two = [start("mot17", data, shared, f"{where},2,{index}") for index in range(2)]
    texts = [finish(process) for process in two]
    # Each tracked one of the two sequences, and only the first process scored.
    assert [sum(name in text for name in ("MOT17-04-FRCNN: 3", "MOT17-09-SDP: 3")) for text in texts] == [1, 1]
    assert ["HOTA" in text for text in texts] == [True, False]
    assert predictions(alone / "predictions") == predictions(shared / "predictions")
    assert json.loads((alone / "results.json").read_text()) == json.loads((shared / "results.json").read_text())


@pytest.mark.slow
def test_a_kill_costs_the_running_sequence_and_no_more(tmp_path):
    data, whole, out = make("mot17", tmp_path / "official"), tmp_path / "whole", tmp_path / "out"
    finish(start("mot17", data, whole))
    killed = start("mot17", data, out, pause=3.0)
    first = out / "predictions" / "MOT17-04-FRCNN.txt"
    limit = time.monotonic() + 120
    while not first.exists():
        assert time.monotonic() < limit
        time.sleep(0.05)
    killed.kill()
    killed.communicate()
    assert [path.name for path in (out / "predictions").iterdir()] == [first.name]
    assert not (out / "results.json").exists()
    written = first.stat().st_mtime_ns
    text = finish(start("mot17", data, out))
    assert "1 of 2 sequences are done already" in text
    assert first.stat().st_mtime_ns == written
    for name in ("results.json", "per_sequence.csv"):
        assert (out / name).read_bytes() == (whole / name).read_bytes()


@pytest.mark.slow
def test_when_the_first_process_may_not_start_no_other_does(tmp_path):
    data, out, where = make("mot17", tmp_path / "official"), tmp_path / "out", address()
    out.mkdir()
    (out / "thesis.tex").write_text("not ours")
    two = [start("mot17", data, out, f"{where},2,{index}") for index in range(2)]
    texts = [finish(process, 1) for process in two]
    assert "foreign workdir" in texts[0]
    assert "the first process has stopped" in texts[1]
    assert [path.name for path in out.iterdir() if path.name != ".lock"] == ["thesis.tex"]


@pytest.mark.slow
def test_when_one_process_fails_the_others_say_so(tmp_path):
    data, out, where = make("mot17", tmp_path / "official"), tmp_path / "out", address()
    (data / "train/MOT17-09-SDP/seqinfo.ini").unlink()  # the second process's sequence
    two = [start("mot17", data, out, f"{where},2,{index}") for index in range(2)]
    texts = [finish(process, 1) for process in two]
    assert "seqinfo.ini: is missing" in texts[1]
    assert "error: stopped with process 1:" in texts[0]
    assert [path.name for path in (out / "predictions").iterdir()] == ["MOT17-04-FRCNN.txt"]


@pytest.mark.slow
def test_two_devices_do_what_one_does(tmp_path, rng, weights):
    """With a network, for its weights have to be on each device."""
    params = weights(UNetADM(**variants.ADM["tiny"]), jnp.zeros((1, 64, 64, 3)), jnp.zeros(1))
    bundled.save(tmp_path / "tiny.safetensors", params, "tiny")
    for name in ("Basketball", "Biker", "Bird1"):
        images(tmp_path / "official" / name / "img", rng, "{:04d}.jpg", size=(66, 48))
        text(tmp_path / "official" / name / "groundtruth_rect.txt", "20,10,16,18\n" * 3)
    fields = {"data_dir": tmp_path / "official", "model": tmp_path / "tiny.safetensors", "tracker.size": 64}
    command = [sys.executable, "-m", "difftrack_jax.main", f"--config={CONFIGS / 'otb.py'}", "--quiet"]
    command += [f"--config.{name}={value}" for name, value in fields.items()]
    outs = []
    for devices in (1, 2):
        outs.append(tmp_path / f"out{devices}")
        flags = quick_compile.with_flags(f"--xla_force_host_platform_device_count={devices}")
        environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
        made = subprocess.run([*command, f"--workdir={outs[-1]}"], env=environment, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr[-3000:]
    one, two = (predictions(out / "predictions") for out in outs)
    assert len(one) == 3
    assert one == two
