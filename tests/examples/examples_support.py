"""What the tests of the examples share: commands, environments that see torch, texts with numbers."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Optional

from children import run_child
from packaging.requirements import Requirement

SITE_PACKAGES = Path("lib", f"python{sys.version_info[0]}.{sys.version_info[1]}", "site-packages")

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
_BUILD_SETTINGS = ("TORCHSCRIPT_BUILD_", "PYTHON", "LIBTORCH", "TORCH_", "Torch_")


def build_environment() -> dict[str, str]:
    """This process's environment, less what would lead a build to another libtorch or other Python packages.

    The user's cache is the test session's own, so the runner is compiled for the first example only.
    """
    variables = {name: value for name, value in os.environ.items() if not name.startswith(_BUILD_SETTINGS)}
    cache = os.environ["TORCHSCRIPT_BUILD_CACHE_DIR"]
    return {
        **variables,
        "TORCHSCRIPT_BUILD_CACHE_DIR": cache,
        "TORCHSCRIPT_BUILD_LAUNCHER": "none",
        "TORCHSCRIPT_BUILD_VERBOSE": "1",
    }


def run(
    command: Sequence[object], *, cwd: Path, env: Optional[Mapping[str, str]] = None, code: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run a command and demand an exit code; standard error is shown where it is another one."""
    done = run_child(
        [str(word) for word in command],
        cwd=cwd,
        env=build_environment() if env is None else env,
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == code, f"{command}: exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def pip(*arguments: object, cwd: Path, python: Path = Path(sys.executable)) -> str:
    """This interpreter's pip, which installs into another one's environment; nothing is downloaded.

    :returns: its log, and with ``--verbose`` that of the build.
    """
    action, *rest = arguments
    command = [sys.executable, "-m", "pip", "--python", python, "--no-input", "--disable-pip-version-check", action]
    done = run([*command, "--no-index", *rest], cwd=cwd)
    return done.stdout + done.stderr


def make_environment(folder: Path) -> Path:
    """A fresh virtual environment without anything, not even pip; returns its interpreter."""
    run([sys.executable, "-m", "venv", "--without-pip", folder], cwd=folder.parent)
    return folder / "bin" / "python"


def link_torch(environment: Path) -> None:
    """Make this interpreter's torch, NumPy and pytest, and what they require, packages of an environment: links."""
    site = environment / SITE_PACKAGES
    wanted, seen = [("torch", ""), ("numpy", ""), ("pytest", "")], set()
    while wanted:
        name, extra = wanted.pop()
        if (name, extra) in seen:
            continue
        seen.add((name, extra))
        distribution = metadata.distribution(name)
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            if not (site / top).exists():  # two distributions may share a folder, as those of CUDA do
                (site / top).symlink_to(distribution.locate_file(top))
        requirements = [Requirement(text) for text in distribution.requires or ()]
        needed = [r for r in requirements if r.marker is None or r.marker.evaluate({"extra": extra})]
        wanted += [(r.name, extra) for r in needed for extra in ("", *r.extras)]  # CUDA's toolkit is one of extras only


def link_site_packages(environment: Path) -> None:
    """Let an environment see all that this interpreter has, behind its own packages."""
    site = sysconfig.get_path("purelib")
    (environment / SITE_PACKAGES / "parent.pth").write_text(f"import site; site.addsitedir({site!r})\n", "utf-8")


def transcript(text: str) -> list[tuple[list[str], str]]:
    """``$ command`` and what it prints, again and again → pairs of words and output."""
    parts = re.split(r"^\$ (.*)\n", text, flags=re.MULTILINE)
    assert parts[0] == "", "the transcript begins with '$ '"
    return [(command.split(), output) for command, output in zip(parts[1::2], parts[2::2])]


def assert_same_text(text: str, expected: str, *, rtol: float = 1e-4, atol: float = 1e-5) -> None:
    """Demand that two texts are equal, but for rounding in the numbers that have a point or an exponent."""
    numbers, expected_numbers = _NUMBER.findall(text), _NUMBER.findall(expected)
    assert _NUMBER.sub("#", text) == _NUMBER.sub("#", expected), f"{text}\n--- expected ---\n{expected}"
    for number, wanted in zip(numbers, expected_numbers):
        if number.lstrip("-").isdigit() and wanted.lstrip("-").isdigit():
            same = number == wanted
        else:
            same = math.isclose(float(number), float(wanted), rel_tol=rtol, abs_tol=atol)
        assert same, f"{number} is not {wanted}\n{text}\n--- expected ---\n{expected}"
