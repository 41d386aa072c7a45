"""Words become the ids a published tokenizer gives them, in places that are known."""

import sys

import pytest

from difftrack_jax.checkpoints.tokenizer import load_tokenizer
from difftrack_jax.errors import UserError

from ..goldens import published_folder

BEGIN, END = published_folder.BEGIN, published_folder.END


@pytest.fixture
def folder(tmp_path):
    pytest.importorskip("transformers", reason="needs the extra `hub`")
    published_folder.write_tokenizer(tmp_path)
    return tmp_path


def test_a_text_is_framed_and_padded_and_its_own_tokens_are_marked(folder):
    tokenize, vocab = load_tokenizer(folder, 12), published_folder.vocabulary()
    ids, words = tokenize("A red car")
    own = [vocab["a</w>"], vocab["red</w>"], vocab["car</w>"]]
    assert ids.tolist() == [BEGIN, *own, END, *[END] * 7]
    assert words.tolist() == [False, True, True, True, *[False] * 8]


def test_the_empty_text_has_no_words(folder):
    ids, words = load_tokenizer(folder, 12)("")
    assert ids.tolist() == [BEGIN, *[END] * 11]
    assert not words.any()


def test_a_text_that_does_not_fit_is_refused_not_cut(folder):
    tokenize = load_tokenizer(folder, 12)
    assert tokenize("abcdefghij").words.sum() == 10
    with pytest.raises(UserError, match="has 11 tokens, and this model takes 10"):
        tokenize("abcdefghijk")


def test_no_torch_is_imported(folder):
    if "torch" in sys.modules:
        pytest.skip("another test has imported torch")
    load_tokenizer(folder, 12)("a")
    assert "torch" not in sys.modules


def test_missing_and_damaged_files_are_named(folder):
    (folder / "merges.txt").unlink()
    with pytest.raises(UserError, match=r"no merges\.txt here"):
        load_tokenizer(folder, 12)
    published_folder.write_tokenizer(folder)
    (folder / "vocab.json").write_text("{")
    with pytest.raises(UserError, match="its tokenizer cannot be read"):
        load_tokenizer(folder, 12)


def test_without_transformers_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(UserError, match=r"difftrack_jax\[hub\]"):
        load_tokenizer(tmp_path, 12)
