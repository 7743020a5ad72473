"""The tool that shows what is in the data of a config."""

import shutil


def test_the_splits_are_shown(workshop, capfd):
    workshop.run('check_data', workshop.config(), '--images')
    printed = capfd.readouterr().out
    assert 'train' in printed
    assert 'light' in printed
    assert 'data checked in' in printed


def test_a_head_for_other_classes_is_one_line(workshop):
    (workshop.data / 'third').mkdir()
    shutil.copy(workshop.data / 'dark' / '0.png', workshop.data / 'third' / '0.png')
    message = workshop.error('check_data', workshop.config())
    assert 'num_classes is 2, but train_dataloader has 3 classes' in message


def test_a_config_without_data_is_one_line(workshop):
    (workshop.path / 'bare.py').write_text("default_scope = 'mmpretrain'")
    message = workshop.error('check_data', 'bare.py')
    assert message.endswith('has none of train_dataloader, val_dataloader, test_dataloader')


def test_a_broken_image_is_one_line(workshop):
    (workshop.data / 'dark' / '0.png').write_bytes(b'no image')
    workshop.run('check_data', workshop.config())
    message = workshop.error('check_data', workshop.config(), '--images')
    assert '1 of 6 images cannot be used, the first:' in message
