import cv2


def test_training_images_are_drawn_with_their_classes(workshop):
    workshop.run('analysis/browse_dataset', workshop.config(), '--out', 'seen', '--count', 3)
    pictures = sorted((workshop.path / 'seen').iterdir())
    assert [path.name for path in pictures] == ['000000.png', '000002.png', '000005.png']
    assert min(cv2.imread(str(pictures[0])).shape[:2]) >= 224


def test_a_detector_is_left_to_the_tool_of_mmdet(workshop, detector):
    found = workshop.error('analysis/browse_dataset', detector.config, '--out', 'seen')
    assert found.endswith('for a detector: tools/openmmlab.py mmdet browse_dataset')


def test_a_pipeline_that_makes_no_image_is_refused(workshop):
    config = workshop.config("train_dataloader['dataset']['pipeline'] = []\n")
    found = workshop.error('analysis/browse_dataset', config, '--out', 'seen')
    assert 'train_dataloader.dataset.pipeline: expected steps that make an image' in found
