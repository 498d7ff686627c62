"""``python -m torchscript_build`` and the console script ``torchscript-build``: the only place that exits."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Optional


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Run the command line; errors of ours are one message and exit code 1."""
    from torchscript_build import log
    from torchscript_build.cli import run_command
    from torchscript_build.errors import TorchScriptBuildError, of_the_system
    from torchscript_build.system import ending_by_signals

    if sys.stdout is not None and hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="backslashreplace")  # what the terminal cannot show is no failure
    try:
        with ending_by_signals():
            return run_command(sys.argv[1:] if arguments is None else arguments)
    except TorchScriptBuildError as error:
        print(log.folded(f"error: {error}"), file=sys.stderr)
        return 1
    except BrokenPipeError:  # the reader (head, less) has seen enough
        sys.stderr.close()
        return 1
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return 130
    except OSError as error:  # a folder that cannot be written, a full disk
        print(log.folded(f"error: {of_the_system(error)}"), file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
