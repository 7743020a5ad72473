import numpy as np
import pytest

from mmdefocus.datasets.transforms import CaptionFromLabel, TokenizeCaption
from mmdefocus.utils.captions import tokenize
from mmdefocus.utils.errors import InputError


def test_captions_have_the_name_of_the_class_in_templates_of_all_kinds():
    write = CaptionFromLabel(['cat', 'dog'], ['a {}', 'the {}'])
    np.random.seed(0)
    found = {write.transform({'gt_label': 1})['caption'] for _ in range(20)}
    assert found == {'a dog', 'the dog'}


@pytest.mark.parametrize('templates', [[], ['a {}', 'a photo'], ['{} {}'], 'a {}'])
def test_templates_without_a_place_for_the_name_are_refused(templates):
    with pytest.raises(InputError, match='templates: expected '):
        CaptionFromLabel(['cat', 'dog'], templates)


@pytest.mark.parametrize('label', [-1, 2])
def test_label_of_no_class_is_refused(label):
    with pytest.raises(InputError, match=f'expected a label below 2, got {label}'):
        CaptionFromLabel(['cat', 'dog'], ['a {}']).transform({'gt_label': label})


def test_tokens_are_those_of_the_caption_and_of_the_length():
    for caption, length in (('a three', 8), ('a four', 8), ('a three', 8), ('a three', 16)):
        found = TokenizeCaption(length).transform({'caption': caption})['tokens']
        assert found.tolist() == tokenize([caption], length)[0].tolist()
