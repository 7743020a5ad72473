"""`from_official.py --class-map` chooses and orders the classes."""

import pytest
import torch


@pytest.mark.parametrize('name', ['cls_rope', 'cls_change_res_mlp_head'])
def test_class_map_selects_the_rows_of_both_classifiers(main, tmp_path, name, classifier):
    released = classifier(name)
    torch.save({'model': released}, tmp_path / 'src.pth')
    (tmp_path / 'map.txt').write_text('4\n0\n4\n')

    arguments = ['--kind', 'classifier', '--class-map', f'{tmp_path}/map.txt']
    main([f'{tmp_path}/src.pth', f'{tmp_path}/dst.pth', *arguments])

    weights = torch.load(tmp_path / 'dst.pth', weights_only=True)['state_dict']
    layer = '.2' if 'mlp' in name else ''
    for old, new in (('head', 'head.fc'), ('head2', 'head.aux_fc')):
        for leaf in ('weight', 'bias'):
            rows = released[f'{old}{layer}.{leaf}'][[4, 0, 4]]
            assert torch.equal(weights[f'{new}{layer}.{leaf}'], rows)
    if layer:
        assert torch.equal(weights['head.fc.0.weight'], released['head.0.weight'])


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        (None, 'map.txt: no such file'),
        ('', 'map.txt: empty; expected the index of a row on each line'),
        ('1\ntwo\n', "map.txt: entry 2: expected the index of a row, found 'two'"),
        ('-1\n', "map.txt: entry 1: expected the index of a row, found '-1'"),
        ('0\n999\n', 'class map: row 999, but head.fc.weight has 7 rows from 0'),
        ('é', "map.txt: entry 1: expected the index of a row, found 'é'"),
    ],
)
def test_bad_class_map_is_one_clear_line(failure, tmp_path, text, message, classifier):
    torch.save({'model': classifier()}, tmp_path / 'src.pth')
    if text is not None:
        (tmp_path / 'map.txt').write_text(text)
    options = ('--kind', 'classifier', '--class-map', tmp_path / 'map.txt')
    assert message in failure(tmp_path / 'src.pth', tmp_path / 'dst.pth', *options)
    assert not (tmp_path / 'dst.pth').exists()
