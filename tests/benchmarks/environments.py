"""The virtual environments of ours and of the peers, from the package index."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .measure import BenchmarkError, run, say

TORCH = "torch==2.13.0"
SHARED = (TORCH, "numpy", "setuptools", "wheel", "ninja", "cmake")
"""What both environments have."""
INSTALLED = (
    *("setup.py", "pyproject.toml", "README.md", "LICENSE", "torchscript_build", "templates"),
    "examples/resnet18/src",  # pyproject.toml names it, and our hook looks whether it is there
)
"""What of the checkout is needed to install it."""
KEPT = ("HOME", "USER", "LOGNAME", "PATH", "TMPDIR", "TZ")
"""The variables that children inherit; whatever else is set could steer a build or falsify a time."""
INDEX = ("PIP_", "SSL_CERT_", "REQUESTS_CA_BUNDLE", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
"""Beginnings of the names of those that pip needs to reach its index."""


@dataclass(frozen=True)
class VirtualEnvironment:
    """A folder made by ``python -m venv``."""

    folder: Path

    @property
    def python(self) -> Path:
        """Its interpreter."""
        return self.folder / "bin/python"

    def variables(self, **more: str) -> dict[str, str]:
        """The variables of a child in it.

        Compiler caches are off: they would make a second round another thing. CMake itself comes before the script of
        that name, with which its wheel spends a tenth of a second: as it is where CMake does not come from a wheel.
        """
        clean = {k: os.environ[k] for k in KEPT if k in os.environ}
        cmake = map(str, self.folder.glob("lib/python3*/site-packages/cmake/data/bin"))
        path = [*cmake, str(self.folder / "bin"), clean.get("PATH", os.defpath)]
        clean.update(
            PATH=os.pathsep.join(path),
            VIRTUAL_ENV=str(self.folder),
            LANG="C.UTF-8",
            CCACHE_DISABLE="1",
            TORCHSCRIPT_BUILD_LAUNCHER="none",
            TORCHSCRIPT_BUILD_VERBOSE="1",  # the commands are read
            SCCACHE_RECACHE="1",
        )
        return {**clean, **more}


def create_environments(work: Path, root: Path) -> tuple[VirtualEnvironment, VirtualEnvironment]:
    """Ours, with this checkout installed as users have it, and the peers'.

    They are two so that the peers' setup.py runs without our hook; ours is held to the peers' versions, so that both
    have the very same torch, setuptools, CMake and Ninja.
    """
    peers = VirtualEnvironment(work / "environments/peers")
    create(peers, [*SHARED, "scikit-build-core"])
    freeze = run([peers.python, "-m", "pip", "freeze"], cwd=work, variables=index_variables(peers))
    constraints = work / "environments/constraints.txt"
    constraints.write_text(freeze.output, encoding="utf-8")
    ours = VirtualEnvironment(work / "environments/ours")
    create(ours, SHARED, "-c", str(constraints))
    install_checkout(ours, root, work / "environments/checkout")
    return ours, peers


def create(environment: VirtualEnvironment, requirements: Sequence[str], *options: str) -> None:
    """Make an environment, unless it is there with the same requirements."""
    stamp = environment.folder / "requirements.json"
    wanted = json.dumps([sys.version, *requirements])
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == wanted:
        return
    say(f"environment {environment.folder.name}: {' '.join(requirements)}")
    shutil.rmtree(environment.folder, ignore_errors=True)
    environment.folder.parent.mkdir(parents=True, exist_ok=True)
    work = environment.folder.parent
    run([sys.executable, "-m", "venv", environment.folder], cwd=work, variables=clean_variables())
    pip_install(environment, [*options, *requirements], cwd=work)
    stamp.write_text(wanted, encoding="utf-8")


def install_checkout(environment: VirtualEnvironment, root: Path, copy: Path) -> None:
    """Install the checkout from a copy (a build would leave files in it), unless just this is installed."""
    digest, stamp = digest_of(root), environment.folder / "checkout.txt"
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == digest:
        return
    say("installing this checkout")
    stamp.unlink(missing_ok=True)
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    for file in checkout_files(root):
        target = copy / file.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    pip_install(environment, ["--no-build-isolation", str(copy)], cwd=copy.parent)
    stamp.write_text(digest, encoding="utf-8")


def checkout_files(root: Path) -> list[Path]:
    """The files that an installation needs."""
    files = []
    for name in INSTALLED:
        found = [root / name] if (root / name).is_file() else sorted((root / name).rglob("*"))
        files += [f for f in found if f.is_file() and "__pycache__" not in f.parts]
    return files


def digest_of(root: Path) -> str:
    """A digest of what would be installed."""
    digest = hashlib.sha256()
    for file in checkout_files(root):
        digest.update(f"{file.relative_to(root).as_posix()}\0{file.stat().st_size}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def pip_install(environment: VirtualEnvironment, arguments: Sequence[str], *, cwd: Path) -> None:
    """``pip install`` with the user's own index settings.

    :raises BenchmarkError: pip failed.
    """
    command = [environment.python, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", *arguments]
    run(command, cwd=cwd, variables=index_variables(environment))


def clean_variables() -> dict[str, str]:
    """The variables of a child outside of any environment."""
    return {k: os.environ[k] for k in KEPT if k in os.environ}


def index_variables(environment: VirtualEnvironment) -> dict[str, str]:
    """The variables of pip."""
    return environment.variables(**{k: v for k, v in os.environ.items() if k.upper().startswith(INDEX)})


def torch_facts(environment: VirtualEnvironment, cwd: Path) -> Mapping[str, str]:
    """What the peers need to know of torch.

    :raises BenchmarkError: it is a CUDA build, which the stock ``find_package(Torch)`` refuses without a CUDA toolkit.
    """
    code = (
        "import json, platform, torch; "
        "print(json.dumps({'version': torch.__version__, 'cuda': torch.version.cuda or '',"
        " 'prefix': torch.utils.cmake_prefix_path, 'python': platform.python_version()}))"
    )
    done = run([environment.python, "-c", code], cwd=cwd, variables=environment.variables())
    facts: dict[str, str] = json.loads(done.output)
    if facts["cuda"]:
        raise BenchmarkError(
            f"pip installed torch {facts['version']} with CUDA {facts['cuda']}; the benchmarks compare CPU builds.\n"
            "Name an index of CPU builds in PIP_EXTRA_INDEX_URL, or a folder with such a wheel in PIP_FIND_LINKS."
        )
    return facts
