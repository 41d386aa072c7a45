"""Writes torch_files/: small files in every format of torch.save, for checkpoints/torch_files_test.py.

python tests/goldens/record_torch_files.py     # needs torch
"""

import collections
import pathlib

import numpy as np

FOLDER = pathlib.Path(__file__).parent / "torch_files"


def contents() -> dict:
    """What the files hold, as numpy arrays."""
    ramp = np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 8 - 1
    return {
        "float32": ramp,
        "float16": ramp.astype(np.float16),
        "bfloat16": ramp,  # exact in bfloat16
        "float64": ramp.astype(np.float64),
        "int64": np.arange(-3, 3),
        "uint8": np.arange(5, dtype=np.uint8),
        "bool": np.array([True, False]),
        "scalar": np.array(2.5, np.float32),
        "empty": np.zeros((0, 4), np.float32),
        "transposed": ramp.transpose(2, 0, 1),
        "part": ramp[1, 1:, ::2],
        "parameter": ramp[0],
    }


def tree(torch) -> dict:
    """A training checkpoint around them, in torch."""
    arrays = contents()
    whole = torch.from_numpy(arrays["float32"].copy())
    tensors = {name: torch.from_numpy(np.array(array)) for name, array in arrays.items()}
    tensors |= {
        "bfloat16": whole.to(torch.bfloat16),
        "transposed": whole.permute(2, 0, 1),  # three views of one storage
        "part": whole[1, 1:, ::2],
        "float32": whole,
        "parameter": torch.nn.Parameter(tensors["parameter"]),
    }
    state = collections.OrderedDict(tensors)
    state._metadata = {"": {"version": 1}}
    return {"state_dict": state, "step": 7, "name": "x", "shape": whole.shape, "seen": {1, 2}, "rates": [1e-3, None]}


def record(torch, folder: pathlib.Path) -> None:
    torch.save(tree(torch), folder / "zip.pt")
    torch.save(tree(torch), folder / "stream.pt", _use_new_zipfile_serialization=False)
    float8 = torch.arange(4).to(torch.float8_e4m3fn)
    torch.save({"float8": float8}, folder / "float8.pt")
    torch.save(torch.nn.Linear(2, 2), folder / "module.pt")


if __name__ == "__main__":
    import torch

    FOLDER.mkdir(exist_ok=True)
    record(torch, FOLDER)
