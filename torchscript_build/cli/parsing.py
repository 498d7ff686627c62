"""argparse, with a suggestion for what is misspelt."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from typing import Any, NoReturn, Optional

from torchscript_build.settings.coerce import closest


class Parser(argparse.ArgumentParser):
    """A parser, also of subcommands, that says which option or word was probably meant."""

    def parse_known_args(  # type: ignore[override]
        self, args: Optional[Sequence[str]] = None, namespace: Optional[argparse.Namespace] = None
    ) -> tuple[Any, list[str]]:
        """Options that are unknown are told by the command whose options they would be."""
        options, rest = super().parse_known_args(args, namespace)
        unknown = next((word for word in rest if word.startswith("-")), None)
        if unknown is not None:
            word = unknown.partition("=")[0]
            meant = closest(word, [name for name in self._option_string_actions if name.startswith("--")])
            self.error(f"there is no option {word}" + (f"; did you mean {meant}?" if meant else ""))
        return options, rest

    def error(self, message: str) -> NoReturn:
        """Print the usage and the message, with a suggestion, and exit with code 2."""
        match = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
        if match and "did you mean" not in message:
            known = re.findall(r"[\w.-]+", match[2])
            meant = closest(match[1], known)
            message = f"there is no {match[1]!r}: " + (f"did you mean {meant}?" if meant else f"say {', '.join(known)}")
        super().error(message)
