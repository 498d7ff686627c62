"""``torchscript-build audit-abi``: does a library keep to torch's stable ABI, and which torch will do for it?"""

from __future__ import annotations

import argparse
import json
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torchscript_build.operators.stable_abi import Verdict

EPILOG = """\
Exit code 1 if one of the libraries is bound to one series of torch.
"""


def add_parser(commands: Any) -> None:
    """Add ``audit-abi`` to the subcommands of a parser."""
    parser = commands.add_parser(
        "audit-abi",
        help="tell whether a library keeps to torch's stable ABI, and the oldest torch that will do for it",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", nargs="+", help="a shared library, or a wheel with some")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=_audit)


def _audit(options: argparse.Namespace) -> int:
    from torchscript_build.operators.stable_abi import audit
    from torchscript_build.system.elf import read_elf

    verdicts = {}
    for file in options.file:
        with _libraries(Path(file)) as libraries:
            for name, path in libraries.items():
                info = read_elf(path)
                verdicts[name] = audit(info.undefined_symbols, info.needed)
    if options.json:
        print(json.dumps({name: _plain(verdict) for name, verdict in verdicts.items()}, indent=2))
    else:
        for name, verdict in verdicts.items():
            print("\n".join([f"{name}: {_words(verdict)}", *_details(verdict)]))
    return 0 if all(verdict.is_stable for verdict in verdicts.values()) else 1


@contextmanager
def _libraries(file: Path) -> Iterator[dict[str, Path]]:
    """What is to be looked at: the file itself, or the ELF files in a wheel."""
    from torchscript_build import system
    from torchscript_build.errors import VerificationError
    from torchscript_build.system.elf import is_elf

    if system.is_endless(file):
        raise VerificationError(f"{file} is a pipe or a device, and no library or wheel")
    if file.suffix != ".whl":
        yield {str(file): file}
        return
    with tempfile.TemporaryDirectory() as folder:
        try:
            with zipfile.ZipFile(file) as wheel:
                wheel.extractall(folder)
        except (OSError, zipfile.BadZipFile) as error:
            raise VerificationError(f"{file} cannot be read as a wheel: {error}") from error
        found = [path for path in sorted(Path(folder).rglob("*")) if path.is_file() and is_elf(path)]
        if not found:
            raise VerificationError(f"{file.name} has no library in it")
        yield {f"{file.name}: {path.relative_to(folder).as_posix()}": path for path in found}


def _words(verdict: Verdict) -> str:
    if not verdict.is_stable:
        count = len(verdict.unstable)
        what = f", for {count} thing{'s' if count > 1 else ''} that it wants of libtorch" if count else ""
        return f"bound to the torch that it was built for{what}"
    if verdict.lowest is None:
        return "wants nothing of libtorch"
    cuda = f", with CUDA {verdict.cuda}" if verdict.cuda else ""
    return f"keeps to torch's stable ABI: runs with torch {verdict.lowest} and newer{cuda}"


def _details(verdict: Verdict) -> list[str]:
    from torchscript_build.operators.stable_abi import describe_unstable

    lines = describe_unstable(verdict)
    if verdict.is_stable and verdict.lowest:
        lines.append(f"  needs {verdict.lowest} for {', '.join(verdict.because)}")
    if verdict.is_stable and verdict.cuda:
        lines.append(f"  links the shared runtime of CUDA {verdict.cuda}, which builds of torch for another CUDA lack")
    return lines


def _plain(verdict: Verdict) -> dict[str, Any]:
    return {
        "stable": verdict.is_stable,
        "torch": verdict.lowest,
        "because": list(verdict.because),
        "libtorch_python": verdict.python,
        "cuda": verdict.cuda,
        "unstable": [{"symbol": one.symbol, "name": one.name, "instead": one.replacement} for one in verdict.unstable],
    }
