"""Which files of a folder are images."""

from mmdefocus.datasets.image_files import images_of, left_out


def test_what_is_no_image_is_counted_with_its_suffixes(tmp_path):
    for name in ('a.png', 'b.JPG', 'c.heic', 'd', 'e.txt'):
        (tmp_path / name).touch()
    (tmp_path / 'below.png').mkdir()
    assert [path.name for path in images_of(tmp_path)] == ['a.png', 'b.JPG']
    assert left_out(tmp_path) == '3 files (.heic, .txt, no suffix) and 1 folder'


def test_nothing_is_left_out_of_images_alone(tmp_path):
    (tmp_path / 'a.png').touch()
    assert left_out(tmp_path) == left_out(tmp_path / 'a.png') == ''
