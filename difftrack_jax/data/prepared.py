"""Benchmarks as tfds data sets of array_record files, without TensorFlow while preparing or reading.

An example is one clip: its rows as columns, its frames as paths relative to the official folder (which the data set
remembers), or as encoded bytes where the benchmark has no image files. Paths, because the annotations of a benchmark
are megabytes and its images hundreds of gigabytes that a copy would not make any smaller or faster to decode; random
access and sharding come from array_record all the same.
"""

import os
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from absl import logging

from difftrack_jax.data.builders.base import Benchmark
from difftrack_jax.data.frames import EncodedFrames, Frames, PathFrames, encode_png
from difftrack_jax.data.records import Clip, Clips, Rows
from difftrack_jax.errors import UserError

try:
    import tensorflow_datasets as tfds
except ImportError as error:
    raise UserError("benchmarks as data sets need: pip install 'difftrack_jax[data]' (no TensorFlow)") from error


def make_builder(kind: type[Benchmark], data_dir: str | os.PathLike | None = None) -> tfds.core.GeneratorBasedBuilder:
    """The tfds builder of a benchmark. It prepares from `DownloadConfig(manual_dir=official folder)`."""
    body = {"KIND": kind, "name": kind.name, "__module__": __name__, "__doc__": kind.__doc__}
    made = type(kind.__name__, (_ClipBuilder,), body, skip_registration=True)
    where = None if data_dir is None else str(pathlib.Path(data_dir).expanduser())
    return made(data_dir=where, file_format="array_record")


def prepare(kind: type[Benchmark], root: str | os.PathLike, data_dir: str | os.PathLike | None = None) -> Any:
    """Prepare all splits that the folder holds; a second call finds the work done."""
    benchmark = kind(root)
    available(benchmark)  # says what is wrong with the folder before tfds makes any of its own
    home = benchmark.root.resolve()
    built = make_builder(kind, data_dir)
    built.download_and_prepare(download_config=tfds.download.DownloadConfig(manual_dir=str(root)))
    if built.info.metadata["root"] != str(home):
        was = built.info.metadata["root"]
        raise UserError(f"{built.data_dir}: was prepared from {was}, not from {home}; choose another data_dir")
    return built


def read(folder: str | os.PathLike, split: str, media: str = "") -> Clips:
    """The clips of a prepared folder (the one with dataset_info.json). media: the official folder, if it has moved."""
    try:
        built = tfds.builder_from_directory(str(folder))
        if built.info.file_format is not tfds.core.FileFormat.ARRAY_RECORD:
            raise ValueError("its files are not array_record, the format with random access")
        source = built.as_data_source(split=tfds_split(split))
    except (ValueError, KeyError) as error:
        raise UserError(f"{folder}: has no split {split!r} that can be read ({error})") from error
    root = media or built.info.metadata["root"]
    return Clips(len(source), lambda index: decode(source[index], root))


class _ClipBuilder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
    """What all benchmarks share; `KIND` is the benchmark."""

    KIND: type[Benchmark]
    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012
    MANUAL_DOWNLOAD_INSTRUCTIONS = "Point manual_dir at the official folder."

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description=f"{self.KIND.__doc__} Needs {self.KIND.layout}. Licence: {self.KIND.licence}.",
            homepage=self.KIND.url,
            features=features(self.KIND),
            metadata=tfds.core.MetadataDict(),
            disable_shuffling=True,  # the official order
        )

    def _split_generators(self, dl_manager) -> dict[str, Iterator]:
        benchmark = self.KIND(dl_manager.manual_dir)
        self.info.metadata["root"] = str(benchmark.root.resolve())
        found = available(benchmark)
        return {tfds_split(split): self._generate_examples(benchmark, split, names) for split, names in found.items()}

    def _generate_examples(self, benchmark: Benchmark, split: str, names: list[str]) -> Iterator:
        for name in names:
            yield name, encode(benchmark.read(split, name), benchmark)


def available(benchmark: Benchmark) -> dict[str, list[str]]:
    """The names in each split that the folder holds: people often have one of several. UserError when it has none."""
    found, errors = {}, []
    for split in benchmark.splits:
        try:
            found[split] = benchmark.names(split)
        except UserError as error:
            errors.append(error)
            logging.info("%s: split %s is left out: %s", benchmark.name, split, error)
    if not found:
        raise errors[0]
    return found


def tfds_split(split: str) -> str:
    """A split's name as tfds allows it: test-dev becomes test_dev, and `all`, which it keeps for itself, everything."""
    return "everything" if split == "all" else split.replace("-", "_")


def features(kind: type[Benchmark]) -> tfds.features.FeaturesDict:
    """Of one clip. Columns are stored as bytes: tfds would put float64 into the float32 of its protobufs."""
    f = tfds.features

    def column(dtype, *shape):
        return f.Tensor(shape=(None, *shape), dtype=dtype, encoding="bytes")

    def rows(joints, extra):
        return f.FeaturesDict(
            {
                "frame": column(np.int32),
                "id": column(np.int64),
                "category": column(np.int32),
                "box": column(np.float64, 4),
                "score": column(np.float64),
                "visible": column(np.bool_),
                "ignore": column(np.bool_),
                "segment": f.Sequence(f.Text()),
                **({"keypoints": column(np.float64, joints, 3)} if joints else {}),
                **({"extra": column(np.float64, extra)} if extra else {}),
            }
        )

    frames = {"images": f.Sequence(f.Text())} if kind.embedded else {"paths": f.Sequence(f.Text())}
    return f.FeaturesDict(
        {
            "name": f.Text(),
            "width": f.Scalar(np.int32),
            "height": f.Scalar(np.int32),
            "fps": f.Scalar(np.float32),
            **frames,
            "frame_ids": column(np.int64),
            "labelled": column(np.bool_),
            "rows": rows(kind.joints, len(kind.extra)),
            "detections": rows(0, 0),
            "caption_ids": column(np.int64),
            "captions": f.Sequence(f.Text()),
            "extra": f.Sequence(f.Text()),
        }
    )


def encode(clip: Clip, kind: type[Benchmark] | Benchmark) -> dict[str, Any]:
    """A clip as the features want it."""
    frames = {"images": _encoded(clip.frames)} if kind.embedded else {"paths": list(_paths(clip.frames))}
    return {
        "name": clip.name,
        "width": clip.width,
        "height": clip.height,
        "fps": clip.fps,
        **frames,
        "frame_ids": clip.frame_ids,
        "labelled": clip.labelled,
        "rows": _columns(clip.rows, kind.joints, len(kind.extra)),
        "detections": _columns(clip.detections, 0, 0),
        "caption_ids": np.array([target for target, _ in clip.captions], np.int64),
        "captions": [sentence for _, sentence in clip.captions],
        "extra": list(clip.extra),
    }


def decode(example: Mapping[str, Any], root: str | os.PathLike) -> Clip:
    """The clip again. root: of the official folder, where its frames still lie."""
    name = _text(example["name"])
    if "images" in example:
        frames: Frames = EncodedFrames([bytes(image) for image in example["images"]], name)
    else:
        frames = PathFrames(pathlib.Path(root), [_text(path) for path in example["paths"]])
    sentences = zip(example["caption_ids"].tolist(), example["captions"])
    return Clip(
        name=name,
        frames=frames,
        width=int(example["width"]),
        height=int(example["height"]),
        fps=float(example["fps"]),
        frame_ids=np.array(example["frame_ids"]),
        labelled=np.array(example["labelled"]),
        rows=_rows(example["rows"]),
        detections=_rows(example["detections"]),
        captions=tuple((target, _text(sentence)) for target, sentence in sentences),
        extra=tuple(_text(column) for column in example["extra"]),
    )


def _columns(rows: Rows, joints: int, extra: int) -> dict[str, Any]:
    columns = rows._asdict() | {"segment": list(rows.segment)}
    n = rows.count
    for column, shape in (("keypoints", (joints, 3)), ("extra", (extra,))):
        if not shape[0]:
            del columns[column]
        elif columns[column].shape[1:] != shape:  # a clip without any, such as one of a test set
            columns[column] = np.full((n, *shape), np.nan)
    return columns


def _rows(columns: Mapping[str, Any]) -> Rows:
    n = len(columns["frame"])
    empty = {"keypoints": np.zeros((n, 0, 3)), "extra": np.zeros((n, 0))}
    segment = np.empty(n, object)
    segment[:] = [_text(counts) for counts in columns["segment"]]
    known = {**empty, **columns, "segment": segment}
    return Rows(*(np.array(known[name]) for name in Rows._fields))


def _encoded(frames: Frames) -> list[bytes]:
    if isinstance(frames, EncodedFrames):
        return list(frames.encoded)
    return [encode_png(frames[index]) for index in range(len(frames))]


def _paths(frames: Frames) -> tuple[str, ...]:
    if not isinstance(frames, PathFrames):
        raise TypeError("a benchmark whose frames have no files must set `embedded`")
    return frames.paths


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)
