"""Wheels through pip, which knows the user's indexes and checks what it downloads by their hashes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from email.parser import HeaderParser
from pathlib import Path
from typing import Optional

from torchscript_build import system
from torchscript_build.errors import LibTorchNotFoundError, ToolNotFoundError
from torchscript_build.libtorch.fetch.wheel_tags import PythonVersion, tag_options
from torchscript_build.libtorch.versions import read_text
from torchscript_build.records import dataclass
from torchscript_build.system import Environment


@dataclass(frozen=True)
class PipOptions:
    """Options that are passed to pip as they are; the user's own configuration counts as well."""

    index_url: Optional[str] = None
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    no_index: bool = False

    def words(self) -> tuple[str, ...]:
        """As pip wants them."""
        words = ["--no-index"] if self.no_index else []
        if self.index_url:
            words += ["--index-url", self.index_url]
        for option, values in (("--extra-index-url", self.extra_index_urls), ("--find-links", self.find_links)):
            for value in values:
                words += [option, value]
        return tuple(words)


def download_wheels(
    requirements: Sequence[str],
    python: PythonVersion,
    environment: Environment,
    options: PipOptions,
    folder: Path,
    echo: bool,
    *,
    deps: bool,
) -> str:
    """Have pip download wheels; returns what it said where it knows no such build, else an empty text.

    :raises LibTorchNotFoundError: it failed for another reason: network, hash, disk.
    """
    executable = environment.python.executable
    probed = system.probe([executable, "-m", "pip", "--version"], variables=environment.variables, cwd=environment.cwd)
    if probed is None or probed.returncode != 0:
        raise ToolNotFoundError(
            f"{executable} has no pip, which downloads torch's wheels",
            cures=[f"{executable} -m ensurepip", "torchscript-build fetch --archive FILE|URL --sha256 HEX"],
        )
    command = [str(executable), "-m", "pip", "download", "--no-input", "--disable-pip-version-check"]
    command += ["--only-binary=:all:", "--dest", str(folder), *([] if deps else ["--no-deps"])]
    command += tag_options(python, platform=environment.platform, machine=environment.machine)
    command += [*options.words(), *requirements]
    done = system.run(command, variables={**environment.variables, "LC_ALL": "C"}, cwd=environment.cwd, echo=echo)
    if done.returncode == 0:
        return ""
    if is_no_such_build(done.output):
        return done.output
    raise LibTorchNotFoundError(
        f"pip could not download {' '.join(requirements)}\n" + last_lines(done.output),
        cures=["try again", "check pip's configuration (pip config list) or name an index with --index-url"],
    )


def is_no_such_build(output: str) -> bool:
    """Does pip say that the index has no wheel like that, rather than that something broke?

    An index that cannot be reached ends with the same words, after warnings about broken connections.
    """
    if parse_versions_offered(output) == () and "after connection broken by" in output:
        return False
    return re.search(r"^ERROR: No matching distribution found for ", output, re.MULTILINE) is not None


def parse_versions_offered(output: str) -> tuple[str, ...]:
    """The versions that pip lists where none fits: ``(from versions: 2.5.0, 2.6.0)``."""
    match = re.search(r"\(from versions: ([^)]*)\)", output)
    names = [] if match is None or match[1] == "none" else match[1].split(", ")
    return tuple(n.strip() for n in names if n.strip())


def last_lines(output: str) -> str:
    lines = [line for line in output.splitlines() if line.strip()]
    return "\n".join(f"  {line}" for line in lines[-6:])


def cuda_requirements(folder: Path, environment: Environment, python: Optional[str]) -> tuple[str, ...]:
    """What a fetched wheel's metadata ask for on this machine of CUDA's libraries, as pip takes them."""
    from packaging.requirements import InvalidRequirement, Requirement

    system_name = {"linux": "Linux", "darwin": "Darwin", "win32": "Windows"}.get(environment.platform, "")
    marker_environment = {
        "platform_system": system_name,
        "sys_platform": environment.platform,
        "platform_machine": environment.machine,
        "extra": "",
        **({"python_version": python} if python else {}),
    }
    found = []
    for file in sorted(folder.glob("torch-*.dist-info/METADATA")):
        for text in HeaderParser().parsestr(read_text(file) or "").get_all("Requires-Dist") or ():
            try:
                requirement = Requirement(text)
            except InvalidRequirement:
                continue
            if not requirement.name.lower().replace("_", "-").startswith(("nvidia-", "cuda-toolkit")):
                continue
            if requirement.marker is None or requirement.marker.evaluate(marker_environment):
                requirement.marker = None
                found.append(str(requirement))
    return tuple(dict.fromkeys(found))


def parse_python(text: Optional[str]) -> Optional[PythonVersion]:
    match = re.fullmatch(r"(\d+)\.(\d+)", text or "")
    return (int(match[1]), int(match[2])) if match else None


def running_python(environment: Environment) -> PythonVersion:
    """The version of the environment's Python, from the names of its extension modules (``.cpython-311-…``)."""
    match = re.search(r"(?:cpython-|cp)3(\d+)", environment.python.ext_suffix)
    return (3, int(match[1])) if match else (3, 11)
