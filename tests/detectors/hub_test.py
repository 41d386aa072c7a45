"""Models of transformers behind the protocol: random weights, saved and loaded, against their raw answers."""

import numpy as np
import pytest

from difftrack_jax.detectors import hub, loading
from difftrack_jax.detectors.base import distinct
from difftrack_jax.errors import UserError

torch = pytest.importorskip("torch", reason="needs torch: pip install 'difftrack_jax[detectors]'")
transformers = pytest.importorskip("transformers", reason="needs transformers: pip install 'difftrack_jax[detectors]'")
NAMES = {0: "person", 1: "dog", 2: "car"}
SIDE = {"height": 64, "width": 64}


def resnet():
    from transformers.models.rt_detr.configuration_rt_detr_resnet import RTDetrResNetConfig

    return RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], layer_type="basic",
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip


def detr_sizes():
    return dict(
        encoder_hidden_dim=16, encoder_in_channels=[8, 16, 16], feat_strides=[8, 16, 32], encoder_layers=1,
        encoder_ffn_dim=16, encoder_attention_heads=2, encode_proj_layers=[2], d_model=16, num_queries=12,
        decoder_in_channels=[16, 16, 16], decoder_ffn_dim=16, decoder_layers=2, decoder_attention_heads=2,
        decoder_n_points=2, num_feature_levels=3, num_denoising=0, id2label=NAMES,
    )  # fmt: skip


def rt_detr():
    config = transformers.RTDetrConfig(backbone_config=resnet(), anchor_image_size=None, **detr_sizes())
    return transformers.RTDetrForObjectDetection(config), transformers.RTDetrImageProcessor(size=SIDE)


def rt_detr_v2():
    config = transformers.RTDetrV2Config(backbone_config=resnet(), anchor_image_size=None, **detr_sizes())
    return transformers.RTDetrV2ForObjectDetection(config), transformers.RTDetrImageProcessor(size=SIDE)


def d_fine():
    backbone = transformers.HGNetV2Config(
        stem_channels=[3, 4, 4], stage_in_channels=[4, 8, 8, 16], stage_mid_channels=[4, 4, 8, 8],
        stage_out_channels=[8, 8, 16, 16], stage_num_blocks=[1, 1, 1, 1], stage_numb_of_layers=[1, 1, 1, 1],
        hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], embedding_size=4,
        out_features=["stage2", "stage3", "stage4"],
    )  # fmt: skip
    sizes = detr_sizes() | {"decoder_n_points": [2, 2, 2]}
    config = transformers.DFineConfig(backbone_config=backbone, anchor_image_size=None, **sizes)
    return transformers.DFineForObjectDetection(config), transformers.RTDetrImageProcessor(size=SIDE)


def mask2former():
    swin = transformers.SwinConfig(
        image_size=64, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=4,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )  # fmt: skip
    config = transformers.Mask2FormerConfig(
        backbone_config=swin, feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_feedforward_dim=16,
        encoder_layers=1, decoder_layers=2, num_attention_heads=2, dim_feedforward=16, num_queries=8, id2label=NAMES,
    )  # fmt: skip
    processor = transformers.Mask2FormerImageProcessor(size=SIDE, size_divisor=32)
    return transformers.Mask2FormerForUniversalSegmentation(config), processor


def vitpose():
    backbone = transformers.VitPoseBackboneConfig(
        image_size=[64, 48], patch_size=[16, 16], hidden_size=16, num_hidden_layers=1, num_attention_heads=2,
        out_indices=[1], out_features=["stage1"],
    )  # fmt: skip
    config = transformers.VitPoseConfig(backbone_config=backbone, id2label={0: "nose", 1: "tail"})
    processor = transformers.VitPoseImageProcessor(size={"height": 64, "width": 48})
    return transformers.VitPoseForPoseEstimation(config), processor


MODELS = {make.__name__: make for make in (rt_detr, rt_detr_v2, d_fine, mask2former, vitpose)}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Makes each model once: random weights that are nowhere zero, and its processor, in a folder."""
    folders = {}

    def save(name):
        if name not in folders:
            torch.manual_seed(0)
            model, processor = MODELS[name]()
            with torch.no_grad():
                for weight in model.parameters():
                    weight += 0.1 * torch.randn_like(weight)
            folders[name] = tmp_path_factory.mktemp(name)
            model.save_pretrained(folders[name])
            processor.save_pretrained(folders[name])
        return str(folders[name])

    return save


@pytest.fixture
def frame(rng):
    return rng.integers(0, 255, (6, 10, 3), dtype=np.uint8).repeat(16, 0).repeat(16, 1)


def raw(auto, folder, frame, **boxes):
    """The model's own answer, without ours in between."""
    model = getattr(transformers, auto).from_pretrained(folder).eval()
    processor = transformers.AutoImageProcessor.from_pretrained(folder)
    with torch.no_grad():
        return model(processor(images=[frame], return_tensors="pt", **boxes)["pixel_values"])


@pytest.mark.parametrize("name", ["rt_detr", "rt_detr_v2", "d_fine"])
def test_boxes_are_those_of_the_models_queries(saved, frame, name):
    detector = hub.Objects(saved(name))
    found = detector(frame)
    answer = raw("AutoModelForObjectDetection", saved(name), frame)
    scores = 1 / (1 + np.exp(-answer.logits[0].numpy().astype(float)))
    cx, cy, w, h = answer.pred_boxes[0].numpy().astype(float).T * np.array([[160], [96], [160], [96]])
    corners = np.stack([cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2], axis=1)
    best = np.argsort(-scores.reshape(-1), kind="stable")[: len(corners)]
    best = best[scores.reshape(-1)[best] > hub.LEAST]
    kept = best[distinct(corners[best // 3], scores.reshape(-1)[best], hub.SAME)]
    assert 0 < len(kept) <= len(corners)
    np.testing.assert_allclose(found.scores, scores.reshape(-1)[kept], rtol=1e-4)
    np.testing.assert_allclose(found.boxes, corners[kept // 3], rtol=1e-4, atol=1e-2)
    assert found.labels == tuple(NAMES[number] for number in kept % 3)
    assert detector.names == ("person", "dog", "car")


def test_masks_are_where_a_query_says_and_boxes_lie_around_them(saved, frame):
    found = hub.Instances(saved("mask2former"))(frame)
    assert found.count > 0
    assert found.masks.shape == (found.count, 96, 160)
    assert set(found.labels) <= set(NAMES.values())
    logits = raw("AutoModelForUniversalSegmentation", saved("mask2former"), frame).masks_queries_logits
    whole = torch.nn.functional.interpolate(logits, (384, 384), mode="bilinear")[0] > 0
    queries = torch.nn.functional.interpolate(whole[None].float(), (96, 160))[0].numpy() > 0
    for mask, box in zip(found.masks, found.boxes):
        assert any(np.array_equal(mask, query) for query in queries)
        y, x = np.nonzero(mask)
        np.testing.assert_array_equal(box, [x.min(), y.min(), x.max() + 1, y.max() + 1])


def test_joints_lie_where_the_heat_maps_peak(saved, frame):
    boxes = np.array([[10.0, 5, 60, 90], [70.0, 20, 150, 80]])
    found = hub.Poses(saved("vitpose"))(frame, boxes)
    assert found.shape == (2, 2, 3)
    sides = np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
    maps = raw("VitPoseForPoseEstimation", saved("vitpose"), frame, boxes=[sides]).heatmaps.numpy()
    n, j, h, w = maps.shape
    y, x = np.divmod(maps.reshape(n, j, -1).argmax(2), w)
    width = 1.25 * np.maximum(sides[:, 2], sides[:, 3] * 48 / 64)[:, None]
    centre = ((boxes[:, :2] + boxes[:, 2:]) / 2)[:, None]
    rough = centre + (np.stack([x, y], -1) / [w - 1, h - 1] - 0.5) * np.stack([width, width * 64 / 48], -1)
    cell = width[..., None] / w
    assert (np.abs(found[..., :2] - rough) < 2.5 * cell).all()  # they are refined within their cell
    np.testing.assert_allclose(found[..., 2], maps.max((2, 3)), rtol=1e-4)


def test_a_detector_and_a_pose_model_work_in_turn(saved, frame):
    detect = loading.load(f"rtdetr:{saved('rt_detr')}+vitpose:{saved('vitpose')}", 0.1)
    found = detect(0, frame)
    assert found.keypoints.shape == (found.count, 2, 3)
    assert set(found.labels) == {"person"}  # of three classes, and nobody said which
    nobody = loading.load(f"rtdetr:{saved('rt_detr')}+vitpose:{saved('vitpose')}", 1.1)
    assert nobody(0, frame).count == 0


def test_folders_that_hold_something_else_are_refused_in_one_line(saved, tmp_path):
    (tmp_path / "empty").mkdir()
    cases = (
        (hub.Objects, str(tmp_path / "empty"), "cannot be loaded"),
        (hub.Objects, saved("vitpose"), "cannot be loaded"),
        (hub.Instances, saved("rt_detr"), "cannot be loaded"),
        (hub.Poses, saved("rt_detr"), "detector"),
        (hub.Objects, str(tmp_path / "none"), "no such folder"),
    )
    for kind, folder, message in cases:
        with pytest.raises(UserError, match=message) as error:
            kind(folder)
        assert "\n" not in str(error.value)


def test_weights_that_are_missing_are_named(saved, tmp_path):
    from safetensors.torch import load_file, save_file

    model = transformers.AutoModelForObjectDetection.from_pretrained(saved("rt_detr"))
    model.save_pretrained(tmp_path)
    transformers.AutoImageProcessor.from_pretrained(saved("rt_detr")).save_pretrained(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    gone = next(name for name in weights if "class_embed" in name)
    save_file({name: value for name, value in weights.items() if name != gone}, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match=r"has no weights for .*class_embed"):
        hub.Objects(str(tmp_path))
