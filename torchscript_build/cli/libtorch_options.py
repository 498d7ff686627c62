"""The options with which several commands choose a libtorch."""

from __future__ import annotations

import argparse
from typing import Optional, Union

from torchscript_build.libtorch import LibTorch
from torchscript_build.libtorch.requirement import Requirement
from torchscript_build.libtorch.search import SearchResult, search_libtorch
from torchscript_build.system import Environment


def add_libtorch_options(parser: argparse.ArgumentParser) -> None:
    """Add the options to a command's parser."""
    parser.add_argument("--libtorch", metavar="FOLDER", help="use this libtorch, or say why not")
    parser.add_argument("--version", metavar="SPECIFIER", help="which releases will do: '>=2.1,<2.16'")
    parser.add_argument("--cuda", metavar="SERIES", help="insist on CUDA ('12', '12.4', 'any') or none ('none')")
    parser.add_argument("--cxx11-abi", choices=["0", "1"], help="insist on libstdc++'s old (0) or new (1) ABI")


def search(options: argparse.Namespace) -> SearchResult:
    """Search for what the options ask for.

    :raises SettingsError: an option means nothing.
    """
    cuda: Optional[Union[str, bool]] = options.cuda
    abi = None if options.cxx11_abi is None else options.cxx11_abi == "1"
    requirement = Requirement.of(version=options.version, cxx11_abi=abi, cuda=cuda)
    environment = Environment.current()
    return search_libtorch(options.libtorch, requirement=requirement, environment=environment, named_by="--libtorch")


def found(result: SearchResult) -> LibTorch:
    """The libtorch of a search.

    :raises TorchScriptBuildError: there is none.
    """
    if result.error is not None:
        raise result.error
    assert result.libtorch is not None  # one of the two is there
    return result.libtorch
