import cv2


def test_training_images_are_drawn_with_their_classes(workshop):
    workshop.run('analysis/browse_dataset', workshop.config(), '--out', 'seen', '--count', 3)
    pictures = sorted((workshop.path / 'seen').iterdir())
    assert [path.name for path in pictures] == ['000000.png', '000002.png', '000005.png']
    assert min(cv2.imread(str(pictures[0])).shape[:2]) >= 224


def test_pictures_replace_no_image_of_the_data_set(workshop):
    image = workshop.data / 'dark' / '000000.png'
    (workshop.data / 'dark' / '0.png').rename(image)
    before = image.read_bytes()
    out = workshop.data / 'dark'
    found = workshop.error('analysis/browse_dataset', workshop.config(), '--out', out)
    assert f'--out: {image} is read, and would be replaced' in found
    assert image.read_bytes() == before


def test_pictures_of_an_earlier_run_are_replaced(workshop):
    for _ in range(2):
        workshop.run('analysis/browse_dataset', workshop.config(), '--out', 'seen', '--count', 1)
    assert len(list((workshop.path / 'seen').iterdir())) == 1


def test_a_detector_is_left_to_the_tool_of_mmdet(workshop, detector):
    found = workshop.error('analysis/browse_dataset', detector.config, '--out', 'seen')
    assert found.endswith('for a detector: tools/openmmlab.py mmdet browse_dataset')


def test_a_pipeline_that_makes_no_image_is_refused(workshop):
    config = workshop.config("train_dataloader['dataset']['pipeline'] = []\n")
    found = workshop.error('analysis/browse_dataset', config, '--out', 'seen')
    assert 'train_dataloader.dataset.pipeline: expected steps that make an image' in found
