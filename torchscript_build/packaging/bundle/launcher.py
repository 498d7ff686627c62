"""Puts a small program before each of a bundle's that tells of a C library which is too old, in words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torchscript_build import log, system
from torchscript_build.errors import BuildError
from torchscript_build.generate.quoting import cxx_quote
from torchscript_build.generate.templates import templates_dir
from torchscript_build.packaging.bundle.closure import LOWEST_GLIBC, glibc_floor
from torchscript_build.packaging.bundle.distributions import numbers, with_glibc
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.system import Environment, elf

MACHINES = ("x86_64", "aarch64")
"""Those whose first instruction the launcher knows."""
OPTIONS = (
    *("-O2", "-fno-stack-protector", "-fno-exceptions", "-fno-rtti", "-fno-builtin", "-fno-lto", "-fno-sanitize=all"),
    *("-nostartfiles", "-nodefaultlibs", "-fPIE", "-pie", "-s", "-Wl,--build-id=none", "-Wl,-z,now"),
    *("-Wl,--disable-new-dtags", "-Wl,-rpath,$ORIGIN/../lib"),
)
"""Nothing of the compiler's own start-up code, which wants the newest version of a symbol that there is."""


def add_launchers(plan: BuildPlan, tree: Path, glibc: str, environment: Environment) -> Sequence[str]:
    """Move the programs from ``bin`` to ``libexec``, and put launchers in their places.

    A folder that holds other files as well is left as it is: its programs may look for them beside themselves.

    :returns: the names of the programs that have one now.
    :raises BuildError: the compiler does not make a launcher.
    """
    files = sorted((tree / "bin").glob("*"))
    if plan.libtorch.machine not in MACHINES or not files or not all(elf.is_elf(file) for file in files):
        return ()
    made = Path(plan.build_dir, "launcher", glibc)
    _compile(plan, made, glibc, environment)
    if numbers(glibc_floor([made])) > numbers(LOWEST_GLIBC):
        log.say(f"-- no launcher: this compiler's own code wants glibc {glibc_floor([made])}")
        return ()
    (tree / "libexec").mkdir()
    for file in files:
        file.rename(tree / "libexec" / file.name)
        system.copy_if_changed(made, file)
        file.chmod(0o755)
    return tuple(file.name for file in files)


def _compile(plan: BuildPlan, made: Path, glibc: str, environment: Environment) -> None:
    source = templates_dir() / "bundle" / "launcher.cpp"
    major, minor = numbers(glibc)[:2]
    made.parent.mkdir(parents=True, exist_ok=True)
    given = [word for name in ("CXXFLAGS", "LDFLAGS") for word in plan.flags.get(name, "").split()]
    flags = [word for word in given if not word.startswith("-Wl,-rpath")]  # conda's name the host prefix
    defined = [f"-DTS_GLIBC_MAJOR={major}", f"-DTS_GLIBC_MINOR={minor}", f"-DTS_CURES={cxx_quote(cures(glibc))}"]
    command = [*plan.toolchain.cxx.command, *flags, *OPTIONS, *defined, str(source), "-o", str(made), "-lc"]
    done = system.run(command, variables=environment.variables, echo=False)
    if done.returncode != 0:
        raise BuildError(f"the launcher of the bundle does not compile\n{done.output.rstrip()}", output=done.output)


def cures(glibc: str) -> str:
    """What a launcher says to do, as lines."""
    found = with_glibc(glibc)
    there = f": {', '.join(found)}" if found else ""
    return (
        "  do one of these:\n"
        f"    - run it on a system with glibc {glibc}{there}, or later; a container of one will do\n"
        "    - have the bundle built against an older one, as in a manylinux image\n"
    )
