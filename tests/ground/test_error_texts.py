"""What the operating system refuses is told in words, with what to type."""

from __future__ import annotations

import errno
import os

import pytest

from torchscript_build.errors import of_the_system

NO_ROOM = """\
no space left on device
  do one of these:
    - make room: torchscript-build cache clean, pip cache purge, rm -r build
    - df -h . shows how much there is; TMPDIR names another place for what compilers keep"""


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
            NO_ROOM,
        ),
        (
            PermissionError(errno.EACCES, os.strerror(errno.EACCES), "/a b/build/x"),
            "/a b/build/x: permission denied\n  do this:\n    - ls -ld '/a b/build' shows who may write there",
        ),
        (IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), "net.pt"), "net.pt: is a directory"),
        (OSError("raw write() returned invalid length"), "raw write() returned invalid length"),
        (OSError(errno.EBADF, os.strerror(errno.EBADF), 7), "bad file descriptor"),
    ],
)
def test_in_words(error: OSError, words: str) -> None:
    assert str(of_the_system(error)) == words
