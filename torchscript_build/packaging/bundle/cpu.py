"""The lowest processor that a bundle's own code was compiled for."""

from __future__ import annotations

import re

from torchscript_build import system
from torchscript_build.plan.build_plan import BuildPlan
from torchscript_build.system import Environment

BASELINE = {"x86_64": "x86-64", "aarch64": "armv8-a"}
"""What compilers take without an option, by GCC's names."""
_FEATURE = re.compile(r"-m((?:avx|sse|ssse|fma|bmi|f16c|amx|aes|pclmul|popcnt|lzcnt)[\w.]*)")


def lowest_cpu(plan: BuildPlan, environment: Environment) -> str:
    """As GCC says it: ``x86-64``, ``x86-64-v3``, ``haswell``, ``x86-64+avx2+fma``; the options of all targets count.

    ``native`` stands for the processor that the compiler finds in this machine, which is asked for.
    """
    words = [w for name in ("CPPFLAGS", "CFLAGS", "CXXFLAGS") for w in plan.flags.get(name, "").split()]
    words += [w for target in plan.targets for w in (*target.compile_options, *target.cxx_options)]
    words += [w for a in plan.cmake_args if "_FLAGS" in a.partition("=")[0] for w in a.partition("=")[2].split()]
    words += [w for p in plan.cmake for a in p.arguments if "_FLAGS" in a for w in a.partition("=")[2].split()]
    named = [w.partition("=")[2] for w in words if w.startswith(("-march=", "-mcpu="))]
    base = BASELINE.get(plan.libtorch.machine, plan.libtorch.machine)
    march = named[-1] if named else base
    if march == "native":
        march = _native(plan, environment) or "native"
    features = sorted({m[1] for m in map(_FEATURE.fullmatch, words) if m})
    return "+".join([march, *features])


def _native(plan: BuildPlan, environment: Environment) -> str:
    command = [*plan.toolchain.cxx.command, "-march=native", "-Q", "--help=target"]
    done = system.probe(command, variables=environment.variables)
    found = re.search(r"-march=\s+(\S+)", done.output) if done is not None and done.returncode == 0 else None
    return found[1] if found else ""
