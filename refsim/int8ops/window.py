"""Sliding windows: padding, output sizes, and which input rows an output row needs."""

from __future__ import annotations

from dataclasses import dataclass

from refsim.errors import ModelError

SAME, VALID = 0, 1  # TFLite's Padding


@dataclass(frozen=True, slots=True)
class Axis:
    """A window along one axis: `size` taps `dilation` apart, moved by `stride` over input padded by before/after."""

    size: int
    stride: int
    before: int
    after: int
    dilation: int = 1

    @property
    def reach(self) -> int:
        """Input positions from the first tap to the last, inclusive."""
        return (self.size - 1) * self.dilation + 1

    def output(self, length: int) -> int:
        return (length + self.before + self.after - self.reach) // self.stride + 1

    def needs(self, begin: int, end: int, length: int) -> tuple[int, int]:
        """Half-open interval of input positions that outputs begin..end-1 read, padding left out."""
        first = max(0, begin * self.stride - self.before)
        last = min(length, (end - 1) * self.stride - self.before + self.reach)
        return min(first, length), max(last, min(first, length))


def resolve(padding: int, length: int, size: int, stride: int, dilation: int = 1) -> Axis:
    """TFLite's SAME or VALID as explicit padding; SAME puts the odd element after (ComputePaddingWithOffset)."""
    if stride < 1 or dilation < 1 or size < 1:
        raise ModelError(f"window of size {size}, stride {stride}, dilation {dilation}: expected positive values")
    reach = (size - 1) * dilation + 1
    if padding == VALID:
        if reach > length:
            raise ModelError(f"a window reaching {reach} does not fit into {length} without padding")
        return Axis(size, stride, 0, 0, dilation)
    if padding != SAME:
        raise ModelError(f"padding {padding} is not known: expected 0 (SAME) or 1 (VALID)")
    outputs = -(-length // stride)
    total = max(0, (outputs - 1) * stride + reach - length)
    return Axis(size, stride, total // 2, total - total // 2, dilation)


def rows_needed(axis: Axis, rows: tuple[int, int], input_height: int, output_height: int) -> tuple[int, int]:
    """The same for rows counted over the batch (N*H): images of `output_height` rows from ones of `input_height`."""
    begin, end = rows
    first_image, last_image = begin // output_height, (end - 1) // output_height
    low = axis.needs(begin % output_height, output_height, input_height)[0]
    high = axis.needs(0, (end - 1) % output_height + 1, input_height)[1]
    return first_image * input_height + low, last_image * input_height + high
