"""The command ``fetch``: its options, and what it prints."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from torchscript_build.errors import SettingsError
from torchscript_build.system import Environment

if TYPE_CHECKING:
    from torchscript_build.libtorch.fetch.obtain import Fetched

EPILOG = """\
examples:
  torchscript-build fetch 2.6.0
  torchscript-build fetch 2.6.0 --cpu --index-url URL
  torchscript-build fetch --archive libtorch.zip --sha256 HEX
"""


def add_parser(commands: Any) -> None:
    """Add ``fetch`` to the subcommands of a parser."""
    fetch = commands.add_parser(
        "fetch",
        help="get a libtorch into the user's cache, without installing torch",
        description="Gets a libtorch into the user's cache: from torch's wheel through pip, or from an archive.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    fetch.add_argument("release", nargs="?", metavar="VERSION", help="a release of torch: 2.6.0, 2.6.0+cu124")
    what = fetch.add_argument_group("instead of a release").add_mutually_exclusive_group()
    what.add_argument("--archive", metavar="FILE|URL", help="a libtorch-….zip, torch-….whl or .tar.gz")
    what.add_argument("--list", action="store_true", help="print what is there")
    what.add_argument("--remove", metavar="NAME", help="remove one that is there")
    fetch.add_argument("--sha256", metavar="HEX", help="the archive's checksum, required with --archive")
    build = fetch.add_argument_group("which build").add_mutually_exclusive_group()
    build.add_argument("--cuda", metavar="TAG", help="the one for this CUDA: cu124 or 12.4")
    build.add_argument("--cpu", action="store_true", help="the one without CUDA")
    fetch.add_argument("--abi", choices=["old", "new"], help="the one with libstdc++'s old or new ABI")
    fetch.add_argument("--python", metavar="3.N", help="take the wheel for this Python (libtorch_python depends on it)")
    fetch.add_argument(
        "--with-cuda-libraries", action="store_true", help="also get the nvidia-* wheels that programs need to run"
    )
    pip = fetch.add_argument_group("passed to pip, besides its own configuration")
    pip.add_argument("--index-url", metavar="URL", help="as pip's option: another index")
    pip.add_argument("--extra-index-url", metavar="URL", action="append", default=[], help="as pip's option: one more")
    pip.add_argument("--find-links", metavar="FOLDER|URL", action="append", default=[], help="as pip's option")
    pip.add_argument("--no-index", action="store_true", help="as pip's option: only --find-links")
    fetch.set_defaults(command=run_fetch)


def run_fetch(options: argparse.Namespace) -> None:
    """Do what the options of ``fetch`` say.

    :raises TorchScriptBuildError: it cannot be done.
    """
    from torchscript_build.libtorch.fetch import obtain as fetch

    environment = Environment.current()
    _check(options)
    if options.list:
        _print_list(fetch.list_fetched(environment))
        return
    if options.remove:
        gone = fetch.remove_fetched(options.remove, environment)
        print(f"removed {gone.name}")
        return
    if options.archive:
        fetched = fetch.fetch_archive(options.archive, options.sha256, environment, report=_say)
    else:
        fetched = fetch.fetch_release(
            options.release,
            environment,
            cuda=options.cuda,
            cpu=options.cpu,
            abi=options.abi,
            python=options.python,
            with_cuda_libraries=options.with_cuda_libraries,
            pip=fetch.PipOptions(
                options.index_url, tuple(options.extra_index_url), tuple(options.find_links), options.no_index
            ),
            report=_say,
            echo=True,
        )
    if not fetched.new:
        print(f"{fetched.name} is there already: {fetched.folder}")
    else:
        print(f"fetched {fetched.name}: {fetched.folder} ({_amount(fetched.size)})")
    print(f"use it: --libtorch fetched:{fetched.name}, or TORCHSCRIPT_BUILD_LIBTORCH=fetched:{fetched.name}")


def _check(options: argparse.Namespace) -> None:
    """Options that do not go together."""
    problems = []
    other = next((o for o in ("archive", "list", "remove") if getattr(options, o)), None)
    if other is None and options.release is None:
        problems.append("fetch: name a release (2.6.0), or give --archive, --list or --remove")
    if other is not None:
        given = ["VERSION"] if options.release is not None else []
        names = ("cuda", "cpu", "abi", "python", "with_cuda_libraries", "index_url", "extra_index_url", "find_links")
        given += [f"--{n.replace('_', '-')}" for n in (*names, "no_index") if getattr(options, n)]
        if given:
            problems.append(f"fetch --{other}: {', '.join(given)} does not go with it")
    if options.sha256 and not options.archive:
        problems.append("fetch --sha256: goes with --archive only; the index has the checksums of its wheels")
    if problems:
        raise SettingsError(problems)


def _print_list(fetched: tuple[Fetched, ...]) -> None:
    if not fetched:
        print("nothing has been fetched")
        return
    width = max(len(f.name) for f in fetched)
    for one in fetched:
        extra = ", with CUDA libraries" if one.cuda_libraries else ""
        print(f"{one.name:<{width}}  {_amount(one.size):>8}  {one.source or 'of unknown origin'}{extra}")


def _amount(size: int) -> str:
    if not size:
        return "?"
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(1, round(size / 1e6))} MB"


def _say(line: str) -> None:
    print(line, flush=True)
