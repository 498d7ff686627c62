"""What builds, readers and the runner do when they are killed, starved or lied to; run by hand, and shortly by pytest.

``python -m tests.faults --seed N --minutes M`` and ``python -m tests.faults.fuzz --seed N --inputs N``.
"""

from __future__ import annotations

import sys
from pathlib import Path

_TESTS = str(Path(__file__).parents[1])
if _TESTS not in sys.path:  # pytest has put it there
    sys.path.insert(0, _TESTS)
