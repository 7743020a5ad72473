import pytest
import torch


@pytest.fixture
def checkpoint(tmp_path):
    weights = {
        'backbone.cls_token': torch.randn(1, 1, 4),
        'head.fc.weight': torch.randn(7, 4),
        'head.fc.bias': torch.randn(7),
        'head.aux_fc.weight': torch.randn(7, 4),
    }
    meta = {'dataset_meta': {'classes': tuple('abcdefg')}}
    torch.save({'state_dict': weights, 'meta': meta, 'optimizer': {}}, tmp_path / 'src.pth')
    (tmp_path / 'map.txt').write_text('4\n0\n4\n')
    return weights


def run(load_tool, tmp_path, *options):
    main = load_tool('model_converters/select_classes').main
    files = [f'{tmp_path}/src.pth', f'{tmp_path}/dst.pth', '--class-map', f'{tmp_path}/map.txt']
    main([*files, *options])


def test_keeps_the_named_rows_of_the_classifier_and_all_of_the_backbone(
    load_tool, tmp_path, checkpoint
):
    run(load_tool, tmp_path)
    found = torch.load(tmp_path / 'dst.pth', weights_only=True)
    assert found['state_dict'].keys() == {'backbone.cls_token', 'head.fc.weight', 'head.fc.bias'}
    assert torch.equal(found['state_dict']['backbone.cls_token'], checkpoint['backbone.cls_token'])
    for name in ('head.fc.weight', 'head.fc.bias'):
        assert torch.equal(found['state_dict'][name], checkpoint[name][[4, 0, 4]])
    assert found['meta'] == {'dataset_meta': {'classes': ('e', 'a', 'e')}}


@pytest.mark.parametrize(
    ('text', 'left_out', 'message'),
    [
        ('7', '', 'src.pth: class map: row 7, but head.fc.weight has 7 rows from 0'),
        ('1', 'head.fc.weight', 'src.pth: class map: expected a classifier, found no head.fc.weig'),
    ],
)
def test_what_does_not_fit_is_one_line(
    load_tool, tmp_path, checkpoint, capsys, text, left_out, message
):
    checkpoint.pop(left_out, None)
    torch.save(checkpoint, tmp_path / 'src.pth')
    (tmp_path / 'map.txt').write_text(text)
    with pytest.raises(SystemExit):
        run(load_tool, tmp_path)
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not (tmp_path / 'dst.pth').exists()


def test_a_class_without_a_name_beside_named_ones_is_one_line(
    load_tool, tmp_path, checkpoint, capsys
):
    meta = {'dataset_meta': {'classes': ('a', 'b')}}
    torch.save({'state_dict': checkpoint, 'meta': meta}, tmp_path / 'src.pth')
    with pytest.raises(SystemExit):
        run(load_tool, tmp_path)
    (line,) = capsys.readouterr().err.splitlines()
    assert 'src.pth: expected a name for each row of the classifier, got 2 and row 4' in line


def test_the_auxiliary_classifier_is_kept_when_asked_for(load_tool, tmp_path, checkpoint):
    run(load_tool, tmp_path, '--auxiliary')
    found = torch.load(tmp_path / 'dst.pth', weights_only=True)['state_dict']
    expected = checkpoint['head.aux_fc.weight'][[4, 0, 4]]
    assert torch.equal(found['head.aux_fc.weight'], expected)


def test_a_checkpoint_without_auxiliary_classifier_is_one_line(
    load_tool, tmp_path, checkpoint, capsys
):
    del checkpoint['head.aux_fc.weight']
    torch.save(checkpoint, tmp_path / 'src.pth')
    with pytest.raises(SystemExit):
        run(load_tool, tmp_path, '--auxiliary')
    assert 'src.pth has no auxiliary classifier' in capsys.readouterr().err
