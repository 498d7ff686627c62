"""What builds, readers and the runner do when they are killed, starved or lied to; run by hand, and shortly by pytest.

``python -m tests.faults --seed N --minutes M`` and ``python -m tests.faults.fuzz --seed N --inputs N``.
"""

from __future__ import annotations

import sys
from pathlib import Path

_TESTS = Path(__file__).parents[1]
for _folder in (str(_TESTS), str(_TESTS / "models")):  # of support.py and handmade.py
    if _folder not in sys.path:  # pytest has put them there
        sys.path.insert(0, _folder)
