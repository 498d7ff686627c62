"""What a terminal of 100×30 is sent, kept as text: ``python -m tests.recordings [NAME …]`` makes them again.

Each recording in docs/recordings is a file for asciinema (version 2 of its format: a line of facts, then times and
what was sent); what is left on the terminal at the end stands in docs/terminal.md.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs/recordings"
PAGE = ROOT / "docs/terminal.md"
COLUMNS, LINES = 100, 30
BEGIN, END = "<!-- recordings:begin -->\n", "<!-- recordings:end -->\n"

_MODEL = """\
import torch


class Classifier(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = torch.nn.Sequential(torch.nn.Linear(3, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x).softmax(1)


def make_model() -> torch.nn.Module:
    return Classifier()
"""


@dataclass(frozen=True)
class Recording:
    """What is typed into a terminal."""

    commands: tuple[str, ...]
    title: str
    edits: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """File → what is replaced in it by what, before the last command."""
    checkout: bool = False
    """In a copy of this project; else in an empty folder."""
    interrupted_at: str = ""
    """Ctrl-C is typed two seconds after this was seen."""
    status: int = 0
    """The last command's."""
    note: str = ""
    """What the page says of it."""


RECORDINGS: Mapping[str, Recording] = {
    "demo": Recording(("python setup.py build_ts_app --run",), "The demo, for the first time", checkout=True),
    "operators": Recording(
        ("torchscript-build new ops filters", "cd filters", "python setup.py build_ts_ops"),
        "A new project with an operator",
    ),
    "export": Recording(
        ("torchscript-build new app classifier", "cd classifier", "python setup.py build_ts_app"),
        "An export that fails",
        edits={"src/classifier/model.py": ("", _MODEL)},
        status=1,
        note="The model takes rows of three numbers, and its example input has rows of four.",
    ),
    "compile": Recording(
        ("torchscript-build new ops filters", "cd filters", "python setup.py build_ts_ops"),
        "A source that does not compile",
        edits={"cpp/ops.cpp": (".tanh()", ".tahn()")},
        status=1,
    ),
    "interrupted": Recording(
        ("torchscript-build new ops filters", "cd filters", "python setup.py build_ts_ops"),
        "Ctrl-C while a source is compiled",
        interrupted_at="compiling",
        status=1,
        note="The next build goes on from there.",
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.recordings", description="Make the recordings again.")
    parser.add_argument("names", metavar="NAME", nargs="*", help=f"{', '.join(RECORDINGS)}; by default all")
    options = parser.parse_args()
    for name in options.names or RECORDINGS:
        with tempfile.TemporaryDirectory(prefix="recording-") as folder:
            events = record(RECORDINGS[name], Path(folder).resolve())
        write_cast(FOLDER / f"{name}.cast", RECORDINGS[name].title, events)
        print(f"{name}: {events[-1][0]:.0f} s, at most {longest_rest(events):.2f} s without anything")
    PAGE.write_text(page_with_screens(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


# --- recording -----------------------------------------------------------------------------------------------------

Events = Sequence[tuple[float, str]]


def record(recording: Recording, home: Path) -> Events:
    """Type the commands into a terminal, in a folder that is a home of its own, with nothing compiled before."""
    folder = home / "torchscript-build" if recording.checkout else home / "work"
    folder.mkdir()
    if recording.checkout:
        files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for name in filter(None, files.split("\0")):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    variables = _variables(home)
    events: list[tuple[float, str]] = []
    now = 0.0
    for command in recording.commands:
        events.append((now, f"$ {command}\r\n"))
        if command.startswith("cd "):
            folder /= command[3:]
            continue
        is_last = command == recording.commands[-1]
        if is_last:
            for file, (old, new) in recording.edits.items():
                text = (folder / file).read_text(encoding="utf-8")
                (folder / file).write_text(text.replace(old, new) if old else new, encoding="utf-8")
        # The environment lies in the project, as it mostly does.
        if not (folder / ".venv").exists():
            (folder / ".venv").symlink_to(sys.prefix, target_is_directory=True)
        here = {**variables, "PATH": f"{folder}/.venv/bin:{variables['PATH']}", "PWD": str(folder)}
        status, sent = _in_terminal(command, folder, here, recording.interrupted_at if is_last else "")
        events += [(now + at, text) for at, text in sent]
        now = events[-1][0]
        if status != (recording.status if is_last else 0):
            raise SystemExit(f"{command} ended with {status}:\n{''.join(text for _, text in events)}")
    told = "".join(text for _, text in events)
    for private in (str(ROOT), sys.prefix, str(home)):
        if private in told:
            raise SystemExit(f"the recording names {private}:\n{told}")
    return events


def _variables(home: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LC_ALL", "MAX_JOBS", "SSL_CERT_FILE")}
    size = {"COLUMNS": str(COLUMNS), "LINES": str(LINES), "TERM": "xterm-256color"}
    cache = {"TORCHSCRIPT_BUILD_CACHE_DIR": str(home / "cache"), "TORCHSCRIPT_BUILD_LAUNCHER": "none"}
    return {"LANG": "C.UTF-8", **kept, **size, **cache, "HOME": str(home)}


def _in_terminal(
    command: str, folder: Path, variables: Mapping[str, str], interrupted_at: str
) -> tuple[int, list[tuple[float, str]]]:
    """The exit status, and what the terminal was sent when."""
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(folder)
        os.execve("/bin/sh", ["sh", "-c", f"exec {command}"], dict(variables))
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    began = time.monotonic()
    sent: list[tuple[float, str]] = []
    rest = b""
    interrupt = 0.0
    while True:
        if interrupt and time.monotonic() > interrupt:
            os.write(terminal, b"\x03")
            interrupt = float("inf")
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            part = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        if not part:
            break
        text, rest = _decoded(rest + part)
        sent.append((round(time.monotonic() - began, 3), text))
        if interrupted_at and not interrupt and interrupted_at in text:
            interrupt = time.monotonic() + 2
    os.close(terminal)
    _, status = os.waitpid(child, 0)
    return (-os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)), sent


def _decoded(raw: bytes) -> tuple[str, bytes]:
    """Whole characters, and the beginning of the next one."""
    for length in range(min(4, len(raw)) + 1):
        try:
            return raw[: len(raw) - length].decode(), raw[len(raw) - length :]
        except UnicodeDecodeError:
            continue
    return raw.decode(errors="replace"), b""


def write_cast(file: Path, title: str, events: Events) -> None:
    head = {"version": 2, "width": COLUMNS, "height": LINES, "title": title}
    lines = [head, *([at, "o", text] for at, text in events)]
    file.parent.mkdir(exist_ok=True)
    file.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


# --- reading -------------------------------------------------------------------------------------------------------


def read_cast(file: Path) -> tuple[dict[str, object], Events]:
    """The line of facts, and what was sent when."""
    head, *lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return head, [(at, text) for at, kind, text in lines if kind == "o"]


def longest_rest(events: Events) -> float:
    """Seconds during which a terminal was sent nothing, at most; but for a program's start, before its first word."""
    pairs = list(zip(events, events[1:]))
    return max(after[0] - before[0] for before, after in pairs if not before[1].startswith("$ "))


def left_over(events: Events) -> list[str]:
    """The lines that stay on a terminal, without colours: of each what was written after it was last taken away."""
    text = re.sub(r"\x1b\[[\d;]*m", "", "".join(text for _, text in events)).replace("\r\n", "\n")
    return [re.split(r"\r\x1b\[K|\r", line)[-1].replace("\x1b[K", "").rstrip() for line in text.split("\n")]


def widest(events: Events) -> int:
    """Columns of the widest line that was ever seen, those of a line that moves included."""
    text = re.sub(r"\x1b\[[\d;]*[mK]", "", "".join(text for _, text in events))
    return max(len(line.expandtabs()) for line in re.split(r"[\r\n]+", text))


def page_with_screens(page: str) -> str:
    """The page with a section for each recording that is there: what it leaves on the terminal."""
    sections = []
    for name, recording in RECORDINGS.items():
        file = FOLDER / f"{name}.cast"
        if file.is_file():
            lines = "\n".join(left_over(read_cast(file)[1])).strip("\n")
            note = f"{recording.note}\n\n" if recording.note else ""
            sections.append(f"## {recording.title}\n\n{note}```console\n{lines}\n```\n\n")
    before, _, rest = page.partition(BEGIN)
    return f"{before}{BEGIN}{''.join(sections)}{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
