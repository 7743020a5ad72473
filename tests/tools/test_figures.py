import shutil

import pytest


@pytest.fixture
def figures(load_tool, workshop, monkeypatch):
    """The tool, in the workshop."""
    tool = load_tool('figures')
    monkeypatch.setattr(tool, 'ROOT', workshop.path)
    return tool


def finish(workshop, trained, folder):
    """Lays down the work directory of a training."""
    target = workshop.path / 'work_dirs' / folder
    target.mkdir(parents=True)
    shutil.copy(workshop.config(), target / 'config.py')
    shutil.copy(trained, target / 'epoch_1.pth')


def test_a_training_has_a_page_of_its_test_images(figures, workshop, trained):
    finish(workshop, trained, 'mine')
    figures.main(['--num-images', '2'])
    out = workshop.path / 'work_dirs' / 'figures' / 'mine'
    assert (out / 'index.html').is_file()
    images = sorted(path.name for path in (out / 'images').iterdir())
    assert images == ['1_dark_1.png', '2_light_1.png']


def test_the_models_of_the_demo_have_pages(figures, workshop, trained):
    finish(workshop, trained, 'demo/classifier')
    finish(workshop, trained, 'demo/detector')
    assert list(figures.pages(figures.WORK_DIRS)) == ['digits', 'digits_detector']


def test_the_models_of_figure_1_stand_beside_each_other(figures, workshop, trained):
    for name in ('mamba', 'vit-causal'):
        finish(workshop, trained, f'ablation_runs/{name}_cifar10/seed-0')
    found = figures.pages(figures.WORK_DIRS)
    assert [len(group) for group in found.values()] == [2]
    assert 'vit-causal' in found['cifar10'][0].checkpoint


def test_without_trainings_a_line_says_what_to_do(figures, capfd):
    with pytest.raises(SystemExit):
        figures.main([])
    assert 'nothing to draw' in capfd.readouterr().err


def test_a_training_without_its_images_is_left_out(figures, workshop, trained, capfd):
    finish(workshop, trained, 'mine')
    shutil.rmtree(workshop.data)
    with pytest.raises(SystemExit):
        figures.main([])
    assert 'mine is left out' in capfd.readouterr().out
