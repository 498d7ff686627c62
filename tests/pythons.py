"""The quick tier on several Pythons: ``python -m tests.pythons [--without-torch] [PYTHON …]``.

Each gets a virtual environment of its own in a temporary folder. Without a name: all that PATH has, from the floor on.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Optional

from packaging.requirements import Requirement

from torchscript_build.settings.read import read_pyproject

ROOT = Path(__file__).parents[1]
FLOOR = 9
LARGE = ("torch", "silero-vad")  # which needs torch


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.pythons", description="The quick tier on several Pythons.")
    parser.add_argument("pythons", metavar="PYTHON", nargs="*", help="interpreters; by default python3.9 … on PATH")
    parser.add_argument("--without-torch", action="store_true", help="do not install torch; what needs it is skipped")
    options = parser.parse_args()
    rows = [try_python(python, options.without_torch) for python in options.pythons or find_pythons()]
    print("\n".join(["", *rows]))
    return int(not rows or any(not row.startswith("ok") for row in rows))


def find_pythons() -> list[str]:
    return [found for minor in range(FLOOR, 30) if (found := shutil.which(f"python3.{minor}")) and version_of(found)]


def version_of(python: str) -> Optional[str]:
    """``3.11.7``; ``None`` if it does not run, as a launcher without its interpreter."""
    words = "import platform; print(platform.python_version())"
    done = subprocess.run([python, "-c", words], capture_output=True, encoding="utf-8", check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def requirements(without_torch: bool) -> list[str]:
    if not without_torch:
        return ["--editable", f"{ROOT}[test]"]
    extra = read_pyproject(ROOT / "pyproject.toml")["project"]["optional-dependencies"]["test"]
    return ["--editable", os.fspath(ROOT), *(line for line in extra if Requirement(line).name not in LARGE)]


def try_python(python: str, without_torch: bool) -> str:
    """What became of one Python, as a line."""
    version = version_of(python)
    if version is None:
        return f"FAILED {python}: it does not run"
    print(f"== Python {version}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([python, "-m", "venv", folder], check=True)
        programs = Path(folder, "Scripts" if os.name == "nt" else "bin")
        own = programs / "python"
        install = [own, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements(without_torch)]
        if subprocess.run(install, check=False).returncode != 0:
            return f"FAILED {version}: the test extra cannot be installed"
        variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        variables.update(PATH=os.pathsep.join([os.fspath(programs), variables.get("PATH", os.defpath)]))
        command = [own, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        with subprocess.Popen(command, cwd=ROOT, env=variables, stdout=subprocess.PIPE, encoding="utf-8") as tests:
            assert tests.stdout is not None
            last = ""
            for last in tests.stdout:
                print(last, end="", flush=True)
        word = "ok    " if tests.returncode == 0 else "FAILED"
        return f"{word} {version}: {re.sub('=', '', last).strip()}"


if __name__ == "__main__":
    sys.exit(main())
