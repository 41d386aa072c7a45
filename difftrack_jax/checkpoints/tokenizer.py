"""Text to the token ids a text encoder was trained with, from the published files vocab.json and merges.txt.

    tokenize = load_tokenizer(folder, length=77)
    tokenize("a red car").ids       [begin, a, red, car, end, padding ...]
    tokenize("a red car").words     [no,  yes, yes, yes,  no, ...]: which of them are the text's own

transformers reads the files (extra `hub`); it needs no torch for that.
"""

import os
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from difftrack_jax.errors import UserError
from difftrack_jax.typing import Bool, Int


class Tokens(NamedTuple):
    """ids: padded to the length the encoder takes. words: True at the tokens of the text itself."""

    ids: Int[np.ndarray, "s"]
    words: Bool[np.ndarray, "s"]


def load_tokenizer(folder: str | pathlib.Path, length: int) -> Callable[[str], Tokens]:
    """A tokenizer for encoders of `length` positions. Raises UserError when its files or transformers are missing.

    The function returned raises UserError for a text of more tokens than fit.
    """
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")  # it warns that torch is absent
    try:
        from transformers import CLIPTokenizer
    except ImportError as error:
        raise UserError("text needs a tokenizer: pip install 'difftrack_jax[hub]'") from error
    folder = pathlib.Path(folder)
    missing = [name for name in ("vocab.json", "merges.txt") if not (folder / name).is_file()]
    if missing and not (folder / "tokenizer.json").is_file():
        raise UserError(f"{folder}: no {missing[0]} here, so it is not a tokenizer's folder")
    try:
        tokenizer = CLIPTokenizer.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # of many kinds, for files that are damaged
        raise UserError(f"{folder}: its tokenizer cannot be read ({' '.join(str(error).split())[:200]})") from error

    def tokenize(text: str) -> Tokens:
        own = tokenizer(text, add_special_tokens=False)["input_ids"]
        if len(own) > length - 2:
            raise UserError(f"text {text!r}: has {len(own)} tokens, and this model takes {length - 2}")
        ids = tokenizer(text, padding="max_length", max_length=length)["input_ids"]
        place = np.arange(length)
        return Tokens(np.asarray(ids, np.int32), (place > 0) & (place <= len(own)))

    return tokenize
