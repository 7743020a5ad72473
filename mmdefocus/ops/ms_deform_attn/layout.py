"""What the backends of deformable attention agree on: levels and the shape of the output."""

from torch import Tensor


def empty_output(
    value: Tensor, spatial_shapes: Tensor, sampling_locations: Tensor, attention_weights: Tensor
) -> Tensor:
    """Returns memory for the output, `(B, Q, H*C)`."""
    batch, _, heads, channels = value.shape
    return value.new_empty(batch, sampling_locations.shape[1], heads * channels)


def check_levels(spatial_shapes: Tensor, pixels: int) -> None:
    """Checks that levels cover the pixels of `value`; waits for the device of `spatial_shapes`.

    Raises:
        ValueError: If they do not.
    """
    covered = int(spatial_shapes.prod(1).sum())
    if covered != pixels or bool((spatial_shapes < 1).any()):
        raise ValueError(
            f'spatial_shapes: expected heights and widths of {pixels} pixels in all, as many as '
            f'value has, got {spatial_shapes.tolist()}'
        )
