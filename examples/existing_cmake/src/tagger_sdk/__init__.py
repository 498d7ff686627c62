"""The tagger from Python: importing the package makes ``torch.ops.tagger`` available."""

import subprocess
import sys
from pathlib import Path

import torch

PROGRAM = Path(__file__).parent / "bin" / "tagger"

torch.ops.load_library(Path(__file__).parent / "lib" / "libtagger_ops.so")


def main() -> int:
    """The console script: starts the program."""
    return subprocess.call([str(PROGRAM), *sys.argv[1:]])
