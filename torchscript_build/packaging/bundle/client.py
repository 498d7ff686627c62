"""Compiles the small program that opens a C library and its model, to prove a bundle of one."""

from __future__ import annotations

from pathlib import Path

from torchscript_build import system
from torchscript_build.errors import BuildError
from torchscript_build.generate.templates import templates_dir
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.system import Environment


def make_client(plan: BuildPlan, environment: Environment) -> Path:
    """The program: ``LIBRARY PREFIX [model]``; it needs the C library alone.

    :raises BuildError: the compiler does not make it.
    """
    made = Path(plan.build_dir, "launcher", "open-library")
    made.parent.mkdir(parents=True, exist_ok=True)
    source = templates_dir() / "bundle" / "open_library.cpp"
    flags = [word for name in ("CXXFLAGS", "LDFLAGS") for word in plan.flags.get(name, "").split()]
    options = ["-O1", "-std=c++14", "-fno-exceptions", "-fno-rtti", "-Wl,--as-needed"]
    command = [*plan.toolchain.cxx.command, *flags, *options, str(source), "-o", str(made), "-ldl"]
    done = system.run(command, variables=environment.variables, echo=False)
    if done.returncode != 0:
        raise BuildError(
            f"the program that opens C libraries does not compile\n{done.output.rstrip()}", output=done.output
        )
    return made
