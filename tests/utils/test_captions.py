import socket

import pytest
import torch

from mmdefocus.utils import captions
from mmdefocus.utils.captions import check_length, tokenize
from mmdefocus.utils.errors import InputError


@pytest.fixture
def open_clip():
    return pytest.importorskip('open_clip')


def test_tokens_are_those_of_open_clip_without_a_network(open_clip, monkeypatch):
    texts = ['a photo of a cat', 'two dogs, in the snow!', 'ein Bär']
    expected = open_clip.tokenize(texts)
    captions._tokenizer.cache_clear()
    monkeypatch.setattr(socket.socket, 'connect', lambda *_: pytest.fail('it calls the network'))
    assert torch.equal(tokenize(texts), expected)


def test_long_caption_is_cut_and_keeps_its_end(open_clip):
    (tokens,) = tokenize(['seven ' * 100], 16)
    assert tokens.shape == (16,) and tokens[-1] == tokens.max() == captions.VOCAB_SIZE - 1


@pytest.mark.parametrize('text', ['', ' \n'])
def test_empty_caption_is_refused(text):
    with pytest.raises(InputError, match='caption: expected some text'):
        tokenize(['a three', text])


def test_length_is_checked_against_the_context(open_clip):
    check_length(['one ' * 14], 16)
    with pytest.raises(InputError, match='expected at most 14 tokens, got 15'):
        check_length(['one ' * 15], 16)


def test_error_says_how_to_install_open_clip(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f'No module named {name!r}')

    monkeypatch.setattr(captions, 'import_module', missing)
    with pytest.raises(InputError, match=r"pip install 'mmdefocus\[clip\]'"):
        captions.open_clip()
