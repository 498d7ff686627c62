"""``torchscript-build completion``: the scripts know every command and option, and shells complete with them."""

from __future__ import annotations

import argparse
import os
import pty
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from children import run_child, started

from torchscript_build.__main__ import main
from torchscript_build.cli.completion import SHELLS, TO_SETUPTOOLS, all_commands, read_parser
from torchscript_build.packaging.commands import build_ts_app

COMMANDS = all_commands()


@pytest.mark.parametrize("shell", sorted(SHELLS))
def test_every_command_and_option_is_there(shell: str) -> None:
    script = SHELLS[shell](COMMANDS)
    assert {c.name for c in COMMANDS} >= {"", "find", "matrix", "new", "completion"}
    for command in COMMANDS:
        assert command.name in script
        for option in command.options:
            for flag in option.flags:
                word = f"-l {flag[2:]} " if shell == "fish" and flag.startswith("--") else flag
                assert word in script or (shell == "fish" and f"-s {flag[1:]} " in script)


def test_parser_is_read_as_it_is() -> None:
    by_name = {command.name: command for command in COMMANDS}
    options = {option.flags[-1]: option for option in by_name["find"].options}
    assert options["--cxx11-abi"].choices == ("0", "1")
    assert (options["--libtorch"].kind, options["--libtorch"].takes_value) == ("folder", True)
    assert (options["--json"].kind, options["--json"].takes_value) == ("", False)
    assert by_name["new"].positionals[0].choices == ("ops", "app", "project")


def test_by_default_it_is_for_the_users_shell(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SHELL", "/usr/bin/fish")
    assert main(["completion"]) == 0
    assert capsys.readouterr().out.startswith("# fish completion for torchscript-build\n")
    monkeypatch.setenv("SHELL", "/bin/tcsh")
    assert main(["completion"]) == 1
    assert capsys.readouterr().err.splitlines() == [
        "error: there is no completion for tcsh",
        "  do one of these:",
        *(f"    - torchscript-build completion {name}" for name in ("bash", "zsh", "fish")),
    ]


def test_options_that_setuptools_reads_are_build_ts_apps() -> None:
    known = {name.rstrip("=") for name, *_ in build_ts_app.user_options}
    for command in COMMANDS:
        if command.name in TO_SETUPTOOLS:
            offered = {flag[2:] for option in command.options for flag in option.flags if flag.startswith("--")}
            assert {"jobs", "libtorch", "build-type"} <= offered <= known | {"help", "wheel-dir"}
            assert set(TO_SETUPTOOLS[command.name]) <= known - offered


def test_help_texts_cannot_break_the_scripts(tmp_path: Path) -> None:
    parser = argparse.ArgumentParser()
    commands = parser.add_subparsers()
    sub = commands.add_parser("go", help="it's [an] odd: 100%% $(exit 3) `exit 3` \\")
    sub.add_argument("--odd", metavar="FILE", help="it's [an] odd: 100%% $(exit 3) `exit 3` \\")
    for shell, render in SHELLS.items():
        script = tmp_path / shell
        script.write_text(render(read_parser(parser)), encoding="utf-8")
        program = shutil.which(shell)
        if program is not None:
            run_child([program, "-n", str(script)], check=True)


def complete_in_bash(folder: Path, *words: str) -> list[str]:
    script = folder / "torchscript-build.bash"
    script.write_text(SHELLS["bash"](COMMANDS), encoding="utf-8")
    code = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _torchscript_build; echo "${COMPREPLY[@]}"'
    command = ["bash", "--norc", "-c", code, "bash", str(script), "torchscript-build", *words]
    done = run_child(command, stdout=subprocess.PIPE, encoding="utf-8", cwd=folder, check=True)
    return done.stdout.split()


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["f"], ["find", "flags", "fetch"]),
        (["find", "--c"], ["--cuda", "--cxx11-abi"]),
        (["find", "--cxx11-abi", ""], ["0", "1"]),
        (["new", "o"], ["ops"]),
        (["new", "ops", "x", "--d"], ["--directory"]),
        (["cache", ""], ["-h", "--help", "info", "clean"]),
        (["--v"], ["--version"]),
        (["conda-recipe", "--output", "new", "--v"], ["--v1"]),
        (["build", "--build-t"], ["--build-type"]),
        (["run", "--build-type", "R"], ["Release", "RelWithDebInfo"]),
        (["bundle", "--st"], ["--strip"]),
    ],
)
def test_bash_completes(tmp_path: Path, words: Sequence[str], offered: Sequence[str]) -> None:
    assert complete_in_bash(tmp_path, *words) == offered


@pytest.mark.skipif(shutil.which("fish") is None, reason="there is no fish")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("f", ["fetch", "find", "flags"]),
        ("find --c", ["--cuda", "--cxx11-abi"]),
        ("find --cxx11-abi ", ["0", "1"]),
        ("new ", ["app", "ops", "project"]),
        ("new ops find --d", ["--directory"]),
        ("--v", ["--version"]),
    ],
)
def test_fish_completes(tmp_path: Path, line: str, offered: Sequence[str]) -> None:
    script = tmp_path / "torchscript-build.fish"
    script.write_text(SHELLS["fish"](COMMANDS), encoding="utf-8")
    code = f"source {script}; complete -C 'torchscript-build {line}'"
    done = run_child(["fish", "-c", code], stdout=subprocess.PIPE, encoding="utf-8", cwd=tmp_path, check=True)
    assert [text.split("\t")[0] for text in done.stdout.splitlines()] == offered


ZSH = """\
PS1=
autoload -Uz compinit; compinit -u -D
source {script}
compadd() {{  # what would be offered is told
  if [[ ${{@[1,(i)(-|--)]}} == *-(O|A|D)\\ * ]]; then builtin compadd "$@"; return $?; fi
  local -a hits
  builtin compadd -A hits "$@"
  (( $#hits )) && print -rl -- "<"${{^hits}}">"
}}
tell() {{ print; zle offered; print "<>"; exit }}
zle -C offered complete-word _main_complete; zle -N tell; bindkey '^X' tell
print "<""ready>"
"""


def complete_in_zsh(folder: Path, line: str) -> list[str]:
    """What an interactive zsh offers for a line, on a terminal of its own."""
    script = folder / "_torchscript-build"
    script.write_text(SHELLS["zsh"](COMMANDS), encoding="utf-8")
    (folder / "start").write_text(ZSH.format(script=script), encoding="utf-8")
    terminal, other = pty.openpty()
    variables = {**os.environ, "TERM": "dumb", "HOME": str(folder)}
    with started(["zsh", "-f", "-i"], stdin=other, stdout=other, stderr=other, env=variables, cwd=folder) as child:
        os.close(other)
        told = b""
        for typed, mark in ((b"source ./start\n", b"<ready>"), (f"torchscript-build {line}\x18".encode(), b"<>")):
            os.write(terminal, typed)
            while mark not in told:
                told += os.read(terminal, 4096)
        os.close(terminal)
        child.wait()
    return re.findall(r"<([^<>\s]+)>", told.partition(b"<ready>")[2].decode())


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("f", ["find", "flags", "fetch"]),
        ("find --c", ["--cuda", "--cxx11-abi"]),
        ("find --cxx11-abi ", ["0", "1"]),
        ("new ", ["ops", "app", "project"]),
        ("new ops find --d", ["--directory"]),
        ("cache ", ["info", "clean"]),
        ("--v", ["--version"]),
        ("completion z", ["zsh"]),
    ],
)
def test_zsh_completes(tmp_path: Path, line: str, offered: Sequence[str]) -> None:
    assert complete_in_zsh(tmp_path, line) == offered
