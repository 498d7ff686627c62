"""What torch.jit says of its own future is told once by us, whatever category a release gives it."""

from __future__ import annotations

import sys
from pathlib import Path

from children import run_child

CHILD = Path(__file__).parents[2] / "torchscript_build/models/child"
TEXTS = (
    "`torch.jit.script` is deprecated. Please switch to `torch.compile` or `torch.export`.",
    "`torch.jit.trace_method` is deprecated. Please switch to `torch.compile` or `torch.export`.",
    "`torch.jit.save` is not supported in Python 3.14+ and may break. Please switch to `torch.compile`.",
    "torch.jit.quantized is deprecated and will be removed in an upcoming PyTorch release.",
)
CODE = """\
import sys, types, warnings
sys.path.insert(0, sys.argv[1])
import complaints
said = complaints.collect_warnings(types.SimpleNamespace(), "/project")
for category in (DeprecationWarning, FutureWarning, UserWarning):
    for text in sys.argv[2:]:
        warnings.warn(text, category, stacklevel=1)
warnings.warn("another matter", FutureWarning, stacklevel=1)
print(*said.deprecations, sep="\\n")
"""


def test_a_notice_is_kept_for_the_report() -> None:
    done = run_child([sys.executable, "-c", CODE, CHILD, *TEXTS], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.splitlines() == [*TEXTS] * 3
    assert done.stderr.splitlines()[0].endswith("FutureWarning: another matter")
    assert "torch.jit" not in done.stderr
