"""``torchscript-build completion``: the parser of the command line → scripts that complete it in bash, zsh and fish.

The scripts are static: completing starts no Python. They say what the installed version knows.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from torchscript_build.errors import TorchScriptBuildError
from torchscript_build.records import dataclass
from torchscript_build.system import Environment

EPILOG = """\
bash:  torchscript-build completion bash > ~/.local/share/bash-completion/completions/torchscript-build
zsh:   torchscript-build completion zsh > FOLDER/_torchscript-build    (a folder of $fpath)
fish:  torchscript-build completion fish > ~/.config/fish/completions/torchscript-build.fish
"""
TO_SETUPTOOLS: Mapping[str, tuple[str, ...]] = {
    "build": (),
    "run": ("run",),
    "verify": ("verify",),
    "rebuild": ("inplace", "prefix", "bundle"),
    "wheel": ("inplace", "prefix", "bundle", "run"),
    "bundle": ("inplace", "prefix", "bundle"),
}
"""Commands whose words setuptools reads, and which options of build_ts_app they have no use for."""
FOLDERS = ("FOLDER", "DIR")
FILES = ("FILE", "FILE|URL", "FOLDER|URL", "MODEL", "OTHER", "WHEEL")


@dataclass(frozen=True)
class Argument:
    """An option or a positional argument."""

    flags: tuple[str, ...]
    """Empty for a positional one."""
    help: str
    takes_value: bool
    choices: tuple[str, ...]
    kind: str
    """What the value names: ``folder``, ``file`` or nothing known."""
    repeated: bool


@dataclass(frozen=True)
class Command:
    """One command; the whole line's own options stand in one without a name."""

    name: str
    help: str
    arguments: tuple[Argument, ...]

    @property
    def options(self) -> tuple[Argument, ...]:
        """Those with flags."""
        return tuple(a for a in self.arguments if a.flags)

    @property
    def positionals(self) -> tuple[Argument, ...]:
        """Those without."""
        return tuple(a for a in self.arguments if not a.flags)


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "completion",
        help="print a script that completes this command line in a shell",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("shell", choices=list(SHELLS), nargs="?", help="what it is for; by default $SHELL")
    parser.set_defaults(command=_completion)


def _completion(options: argparse.Namespace) -> None:
    shell = options.shell or Path(Environment.current().get("SHELL") or "").name
    if shell not in SHELLS:
        raise TorchScriptBuildError(
            f"there is no completion for {shell or 'an unknown shell'}",
            cures=[f"torchscript-build completion {name}" for name in SHELLS],
        )
    print(SHELLS[shell](all_commands()), end="")


def all_commands() -> tuple[Command, ...]:
    """What the parser knows, and the options of those commands whose words go to setuptools."""
    from torchscript_build.cli import make_parser

    return tuple(
        Command(c.name, c.help, (*c.arguments, *_for_setuptools(c.name))) if c.name in TO_SETUPTOOLS else c
        for c in read_parser(make_parser())
    )


def _for_setuptools(command: str) -> Iterator[Argument]:
    from torchscript_build.packaging.commands import build_ts_app
    from torchscript_build.settings.options import BUILD_TYPES
    from torchscript_build.settings.rules import BUNDLE_FORMATS

    choices = {"build-type": BUILD_TYPES, "format": BUNDLE_FORMATS}
    for name, short, what in build_ts_app.user_options:
        plain = name.rstrip("=")
        if plain in ("build-lib", "build-base", *TO_SETUPTOOLS[command]):
            continue
        flags = (*((f"-{short}",) if short else ()), f"--{plain}")
        kind = "folder" if plain in ("libtorch", "prefix") else "file" if plain in ("bundle", "report", "trace") else ""
        yield Argument(flags, what, name.endswith("="), choices.get(plain, ()), kind, repeated=False)
    if command == "wheel":
        yield Argument(("-w", "--wheel-dir"), "where the wheel goes", True, (), "folder", repeated=False)
    if command == "bundle":
        yield Argument((), "a folder or a file", True, (), "file", repeated=False)


def read_parser(parser: argparse.ArgumentParser) -> tuple[Command, ...]:
    """The whole line's own options, then every command."""
    actions = parser._actions  # argparse has no public way to them
    [subparsers] = [a for a in actions if isinstance(a, argparse._SubParsersAction)]
    helps = {a.dest: a.help or "" for a in subparsers._choices_actions}
    return (
        Command("", "", tuple(_argument(a) for a in actions if a is not subparsers)),
        *(
            Command(name, helps.get(name, ""), tuple(_argument(a) for a in sub._actions))
            for name, sub in subparsers.choices.items()
        ),
    )


def _argument(action: argparse.Action) -> Argument:
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    words = (metavar, action.dest.upper())
    kind = "folder" if any(w in FOLDERS for w in words) else "file" if any(w in FILES for w in words) else ""
    return Argument(
        flags=tuple(action.option_strings),
        help=" ".join((action.help or "").replace("%%", "%").split()),
        takes_value=action.nargs != 0,
        choices=tuple(map(str, action.choices or ())),
        kind=kind,
        repeated=action.nargs in ("*", "+") or isinstance(action, argparse._AppendAction),
    )


# --- bash ------------------------------------------------------------------------------------------------------------


def render_bash(commands: tuple[Command, ...]) -> str:
    """A function for ``complete -F``."""
    names = [c.name for c in commands if c.name]
    lines = [
        "# bash completion for torchscript-build",
        "_torchscript_build() {",
        '  local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD - 1]}" command="" word',
        '  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do',
        f'    case "$word" in {" | ".join(names)}) command="$word"; break ;; esac',
        "  done",
        "  COMPREPLY=()",
        '  case "$command $previous" in',
    ]
    for command in commands:
        for option in command.options:
            if option.takes_value:
                patterns = " | ".join(f'"{command.name} {flag}"' for flag in option.flags)
                lines.append(f"    {patterns}) {_bash_value(option)}; return ;;")
    lines += ["  esac", '  case "$command" in']
    for command in commands:
        words = [flag for option in command.options for flag in option.flags]
        words += names if not command.name else [c for a in command.positionals for c in a.choices]
        lines.append(f'    "{command.name}") COMPREPLY=($(compgen -W "{" ".join(words)}" -- "$current")) ;;')
    lines += ["  esac", "}", "complete -o default -F _torchscript_build torchscript-build"]
    return "".join(line + "\n" for line in lines)


def _bash_value(option: Argument) -> str:
    if option.choices:
        return f'COMPREPLY=($(compgen -W "{" ".join(option.choices)}" -- "$current"))'
    if option.kind == "folder":
        return "compopt -o dirnames +o default"
    return ":" if option.kind == "file" else "compopt +o default"


# --- zsh -------------------------------------------------------------------------------------------------------------


def render_zsh(commands: tuple[Command, ...]) -> str:
    """A function for ``compdef``, also as a file of ``$fpath``."""
    whole, *named = commands
    lines = [
        "#compdef torchscript-build",
        "",
        "_torchscript_build() {",
        "  local context state state_descr line",
        "  typeset -A opt_args",
        "  _arguments -C \\",
        *(f"    {spec} \\" for option in whole.options for spec in _zsh_option(option)),
        "    '1:command:->command' '*::argument:->argument'",
        "  case $state in",
        "    command)",
        "      local -a commands=(",
        *(f"        {_zsh_quote(f'{c.name}:{c.help}')}" for c in named),
        "      )",
        "      _describe command commands ;;",
        "    argument)",
        "      case $words[1] in",
    ]
    for command in named:
        specs = [spec for option in command.options for spec in _zsh_option(option)]
        specs += [
            _zsh_quote(f"{'*' if a.repeated else number}:{_zsh_text(a.help or 'argument')}:{_zsh_value(a)}")
            for number, a in enumerate(command.positionals, 1)
        ]
        lines += [f"        {command.name})", "          _arguments \\"]
        lines += [f"            {spec} \\" for spec in specs[:-1]]
        lines += [f"            {specs[-1]} ;;"]
    lines += [
        "      esac ;;",
        "  esac",
        "}",
        "",
        'if [[ "$funcstack[1]" == _torchscript-build ]]; then',
        '  _torchscript_build "$@"',
        "else",
        "  compdef _torchscript_build torchscript-build",
        "fi",
    ]
    return "".join(line + "\n" for line in lines)


def _zsh_option(option: Argument) -> Iterator[str]:
    value = f":value:{_zsh_value(option)}" if option.takes_value else ""
    for flag in option.flags:
        others = "*" if option.repeated else f"({' '.join(option.flags)})"
        yield _zsh_quote(f"{others}{flag}[{_zsh_text(option.help)}]{value}")


def _zsh_value(argument: Argument) -> str:
    if argument.choices:
        return f"({' '.join(argument.choices)})"
    return {"folder": "_files -/", "file": "_files"}.get(argument.kind, "_default" if not argument.flags else " ")


def _zsh_text(text: str) -> str:
    """Text of which ``_arguments`` reads nothing."""
    for character in "\\[]:":
        text = text.replace(character, f"\\{character}")
    return text


def _zsh_quote(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


# --- fish ------------------------------------------------------------------------------------------------------------


def render_fish(commands: tuple[Command, ...]) -> str:
    """One ``complete`` for each word."""
    start, first = "complete -c torchscript-build", "-n '__torchscript_build_is \"\"'"
    lines = [
        "# fish completion for torchscript-build",
        "function __torchscript_build_is",
        "  for word in (commandline -opc)[2..-1]",
        f"    if contains -- $word {' '.join(c.name for c in commands if c.name)}",
        "      test $word = $argv[1]",
        "      return",
        "    end",
        "  end",
        "  test -z $argv[1]",
        "end",
        f"{start} -f",
    ]
    for command in commands:
        where = f"-n '__torchscript_build_is {command.name}'" if command.name else first
        if command.name:
            lines.append(f"{start} {first} -a {command.name} -d {_fish_quote(command.help)}")
        for option in command.options:
            lines.append(f"{start} {where} {_fish_flags(option)} -d {_fish_quote(option.help)}{_fish_value(option)}")
        for argument in command.positionals:
            if argument.choices:
                lines.append(f"{start} {where} -a {_fish_quote(' '.join(argument.choices))}")
            elif argument.repeated or argument.kind:
                lines.append(f"{start} {where} -F")
    return "".join(line + "\n" for line in lines)


def _fish_flags(option: Argument) -> str:
    return " ".join(f"-l {f[2:]}" if f.startswith("--") else f"-s {f[1:]}" for f in option.flags)


def _fish_value(option: Argument) -> str:
    if not option.takes_value:
        return ""
    if option.choices:
        return f" -x -a {_fish_quote(' '.join(option.choices))}"
    return {"folder": " -x -a '(__fish_complete_directories)'", "file": " -r -F"}.get(option.kind, " -x")


def _fish_quote(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


SHELLS: Mapping[str, Callable[[tuple[Command, ...]], str]] = {
    "bash": render_bash,
    "zsh": render_zsh,
    "fish": render_fish,
}
