"""A terminal for tests: a child that is started in one, and what it was sent."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path

from children import started

SHOWN = {"TERM": "xterm", "COLUMNS": "100"}


def terminal_variables(variables: Mapping[str, str], **more: str) -> dict[str, str]:
    """Those of an interactive shell."""
    kept = {name: value for name, value in variables.items() if name not in ("CI", "NO_COLOR", "TERM")}
    return {**kept, **SHOWN, **more}


def in_terminal(command: Sequence[str], folder: Path, variables: Mapping[str, str]) -> tuple[int, str]:
    """The exit code, and everything that a terminal of 100 columns is sent."""
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    with started(command, cwd=folder, env=dict(variables), stdin=slave, stdout=slave, stderr=slave) as child:
        os.close(slave)
        sent = b""
        while True:
            try:
                part = os.read(master, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            sent += part
    os.close(master)
    return child.returncode, sent.decode()


def left_over(sent: str) -> list[str]:
    """The lines that stay: of each line what was written after it was last taken away."""
    return [line.rpartition("\r\x1b[K")[2].rstrip("\r") for line in sent.split("\n")]


def widest(sent: str) -> int:
    """Columns of the widest line that was ever seen."""
    text = re.sub(r"\x1b\[[\d;]*[mK]", "", sent)
    return max(map(len, re.split(r"[\r\n]+", text)))
