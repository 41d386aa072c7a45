"""Small ONNX networks, written by hand: an average over cells, then a 1 x 1 convolution, as the published ones end."""

import numpy as np
import pytest


def _onnx():
    pytest.importorskip("onnxruntime", reason="needs onnxruntime: pip install 'difftrack_jax[detectors]'")
    return pytest.importorskip("onnx", reason="needs onnx to write a network: pip install onnx")


def _save(path, nodes, constants, size, batch, shape):
    onnx = _onnx()
    tensor = lambda name, shape: onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
    values = [onnx.numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = onnx.helper.make_graph(
        nodes, "net", [tensor("images", [batch, 3, *size])], [tensor("output", shape)], values
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return str(path)


def heat_maps(path, cell=4, batch="n", size=(256, 192)):
    """Each colour is a joint: its heat map is the colour's mean over cells."""
    onnx = _onnx()
    pool = onnx.helper.make_node("AveragePool", ["images"], ["output"], kernel_shape=[cell] * 2, strides=[cell] * 2)
    return _save(path, [pool], {}, size, batch, [batch, 3, size[0] // cell, size[1] // cell])


def yolox(path, weights, bias, size=(64, 96)):
    """One linear map of each cell's mean colour on the grids of stride 8, 16 and 32; sigmoids from channel 4 on."""
    onnx = _onnx()
    k, nodes, parts = len(weights), [], []
    for stride in (8, 16, 32):
        p, c, r = (f"{kind}{stride}" for kind in "pcr")
        nodes += [
            onnx.helper.make_node("AveragePool", ["images"], [p], kernel_shape=[stride] * 2, strides=[stride] * 2),
            onnx.helper.make_node("Conv", [p, "weights", "bias"], [c], kernel_shape=[1, 1]),
            onnx.helper.make_node("Reshape", [c, "flat"], [r]),
        ]
        parts.append(r)
    nodes += [
        onnx.helper.make_node("Concat", parts, ["all"], axis=2),
        onnx.helper.make_node("Split", ["all", "parts"], ["places", "logits"], axis=1),
        onnx.helper.make_node("Sigmoid", ["logits"], ["scores"]),
        onnx.helper.make_node("Concat", ["places", "scores"], ["joined"], axis=1),
        onnx.helper.make_node("Transpose", ["joined"], ["output"], perm=[0, 2, 1]),
    ]
    constants = {
        "weights": weights.astype(np.float32).reshape(k, 3, 1, 1), "bias": bias.astype(np.float32),
        "flat": np.array([1, k, -1], np.int64), "parts": np.array([4, k - 4], np.int64),
    }  # fmt: skip
    cells = sum(size[0] // stride * (size[1] // stride) for stride in (8, 16, 32))
    return _save(path, nodes, constants, size, 1, [1, cells, k])
