"""The words of a failure, out of all that CMake or a build tool has printed."""

from __future__ import annotations

import re

from torchscript_build import log

EXCERPT_LINES = 40
"""How much of a failing compiler's output is repeated in the error."""
_COLOUR = r"(?:\x1b\[[\d;]*m)*"


def configure_excerpt(output: str) -> str:
    """CMake's output from its first error on; all of it if it names none."""
    match = re.search(r"^CMake Error", output, re.MULTILINE)
    return _head(output[match.start() :] if match else output)


def build_excerpt(output: str) -> str:
    """What the first failing command printed, without its command line; the last lines if none can be told."""
    failed = re.search(rf"^{_COLOUR}FAILED: [^\n]*\n", output, re.MULTILINE)
    if failed:
        rest = output[failed.end() :].split("\n", 1)[-1]  # the command line follows
        end = re.search(rf"^{_COLOUR}(\[\d+/\d+\] |ninja: |FAILED: )", rest, re.MULTILINE)
        return _head(rest[: end.start()] if end else rest)
    error = re.search(r"^.*(\berror\b|\bError \d+|undefined reference|\*\*\* .*Stop\.).*$", output, re.MULTILINE)
    return _head(output[error.start() :]) if error else "\n".join(output.splitlines()[-EXCERPT_LINES:])


def _head(text: str) -> str:
    """The beginning: a compiler's first error is the one that counts."""
    lines = text.strip("\n").splitlines()
    if len(lines) > EXCERPT_LINES:
        more = len(lines) - EXCERPT_LINES
        lines = [*lines[:EXCERPT_LINES], f"… {more} more lines {'with -v' if log.is_live() else 'above'}"]
    return "\n".join(lines)


def indent(text: str) -> str:
    """As a part of an error."""
    return "\n".join("  " + line for line in log.relative(text).splitlines())
