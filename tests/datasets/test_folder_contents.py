"""Lists of images with labels, counted."""

import pytest

from mmdefocus.datasets.folder_contents import list_contents
from mmdefocus.utils.errors import InputError


@pytest.mark.parametrize('label', ['', 'cat', '-1', '1.0', '1_0', '²'])
def test_a_label_that_is_no_number_is_named_with_its_line(tmp_path, label):
    path = tmp_path / 'train.txt'
    path.write_text(f'a.png 1\nb.png {label}\n', 'utf-8')
    with pytest.raises(InputError, match=r'train\.txt: line 2: expected an image and a label'):
        list_contents(str(path), 'images', ('cat', 'dog'))
