# CIFAR-10 as folders of images. What a model learns from them and how they are read is added.
_base_ = '../loaders.py'

data_preparation = (
    'Put CIFAR-10 under data/cifar10 as train/<class>/*.jpg and test/<class>/*.jpg; docs/data.md '
    'says how.'
)
classes = (
    *('airplane', 'automobile', 'bird', 'cat', 'deer'),
    *('dog', 'frog', 'horse', 'ship', 'truck'),
)
train_images = dict(classes=classes, data_root='data/cifar10/train')
test_images = dict(classes=classes, data_root='data/cifar10/test')
test_loader = dict(_base_.mini_eval_loader, batch_size=250)
