"""The installed operator: python -m pytest tests"""

import pytest
import torch
from series_ops import longest_rise


@pytest.mark.parametrize(("values", "length"), [([1, 2, 3, 2, 5], 3), ([3, 2, 1], 1), ([4], 1), ([], 0)])
def test_longest_rise(values: "list[int]", length: int) -> None:
    assert longest_rise(torch.tensor(values, dtype=torch.float32)) == length


def test_wants_a_series() -> None:
    with pytest.raises(RuntimeError, match="2 dimensions"):
        longest_rise(torch.ones(2, 2))
