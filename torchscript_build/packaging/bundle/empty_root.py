"""Runs a bundle's program in a root that holds the bundle and a C library, and nothing else."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Optional

from torchscript_build import elf, system
from torchscript_build.errors import ToolNotFoundError, VerificationError
from torchscript_build.packaging.bundle.closure import CXX_RUNTIME, GLIBC
from torchscript_build.system import Completed, Environment

SCRIPT = 'mount -t proc proc "$0/proc" 2>/dev/null || mount --rbind /proc "$0/proc"; exec chroot "$0" "$@"'
"""``$ORIGIN`` in a RUNPATH is found through /proc/self/exe."""


def make_root(root: Path, bundle: Path, programs: Sequence[Path], left_to_the_machine: Iterable[str]) -> None:
    """A root folder with the bundle at ``/bundle``, and this machine's C library where the loader looks for it.

    :param left_to_the_machine: names of libraries that the machine brings; libstdc++ is taken if it is among them.
    """
    for folder in ("proc", "tmp", "lib64"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    shutil.copytree(bundle, root / "bundle")
    wanted = {name for name in left_to_the_machine if GLIBC.fullmatch(name) or name in CXX_RUNTIME}
    for program in programs:
        info = elf.read_elf(program)
        if info.interpreter:
            _copy(Path(info.interpreter), root)
    for path in filter(None, map(_on_this_machine, sorted(wanted))):
        _copy(path, root)


def run_in_root(root: Path, command: Sequence[str], environment: Environment) -> Completed:
    """Run a program there, without any variable.

    :raises ToolNotFoundError: this machine lets nobody change the root.
    """
    if environment.which("unshare") is None:
        raise ToolNotFoundError("--verify needs the program unshare", cures=["apt install util-linux"])
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    shell = ["unshare", *user, "--mount", "--pid", "--fork", "sh", "-c", SCRIPT, str(root), *command]
    done = system.run(["env", "-i", f"PATH={environment.get('PATH') or ''}", *shell], variables={}, echo=False)
    if "unshare failed" in done.output or "Operation not permitted" in done.output:
        raise ToolNotFoundError(
            f"--verify cannot change the root on this machine: {done.output.strip().splitlines()[-1]}",
            cures=["run it as root", "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1)"],
        )
    return done


def _on_this_machine(name: str) -> Optional[Path]:
    folders = [Path(f) for f in elf.DEFAULT_FOLDERS]
    return next((f / name for f in folders if (f / name).is_file()), None)


def _copy(path: Path, root: Path) -> None:
    target = root / path.relative_to("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        shutil.copyfile(os.path.realpath(path), target)
        target.chmod(0o755)


def verify_bundle(
    bundle: Path,
    commands: Mapping[str, Sequence[str]],
    files: Sequence[Path],
    left_to_the_machine: Iterable[str],
    root: Path,
    environment: Environment,
) -> None:
    """Run programs of a bundle in an empty root.

    :param commands: program's name → its arguments; ``{name}`` stands for the file of that name in ``files``.
    :param root: a folder to make the root in; removed afterwards.
    :raises VerificationError: one does not start, or fails; what it said is in the error.
    """
    system.remove_tree(root)
    try:
        make_root(root, bundle, [bundle / "bin" / name for name in commands], left_to_the_machine)
        for file in files:
            shutil.copyfile(file, root / "tmp" / file.name)
        inside = {f"{{{file.name}}}": f"/tmp/{file.name}" for file in files}
        for name, arguments in commands.items():
            words = [_filled(word, inside) for word in arguments]
            done = run_in_root(root, [f"/bundle/bin/{name}", *words], environment)
            if done.returncode != 0:
                said = "\n".join("  " + line for line in done.output.strip().splitlines()[-8:])
                raise VerificationError(f"{name} does not run from the bundle in an empty root:\n{said}")
    finally:
        system.remove_tree(root)


def _filled(word: str, values: Mapping[str, str]) -> str:
    for mark, value in values.items():
        word = word.replace(mark, value)
    return word
