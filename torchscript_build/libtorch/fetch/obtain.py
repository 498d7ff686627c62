"""Getting a libtorch into the user's cache, from torch's wheel or an archive; a build never does this by itself.

``<cache>/libtorch/<name>/torch`` (or ``…/libtorch`` from an archive) is the root; beside it lie the wheel's metadata,
the record ``fetched.json`` and, if asked for, ``nvidia`` with CUDA's libraries, where torch's own RPATHs look for them.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Optional

from torchscript_build.errors import LibTorchNotFoundError, LibTorchUnusableError, SettingsError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.libtorch.fetch.pip_wheels import (
    PipOptions,
    cuda_requirements,
    download_wheels,
    last_lines,
    parse_python,
    parse_versions_offered,
    running_python,
)
from torchscript_build.libtorch.fetch.store import (
    RECORD,
    Fetched,
    build_name,
    list_fetched,
    opened_store,
    read_record,
    remove_fetched,
    variant_tag,
    write_record,
)
from torchscript_build.libtorch.fetch.unpack import BLOCK, unpack_libtorch, unpack_nvidia
from torchscript_build.libtorch.fetch.wheel_tags import (
    Try,
    Wanted,
    conflicting_abi,
    default_tag,
    parse_wanted,
    plan_tries,
)
from torchscript_build.libtorch.places import fetched_dir
from torchscript_build.libtorch.read import read_libtorch
from torchscript_build.system import Environment

__all__ = ["Fetched", "PipOptions", "fetch_archive", "fetch_release", "list_fetched", "remove_fetched"]

MOST_DOWNLOADED = 16 << 30
NETWORK_SECONDS = 60.0
"""How long a server may say nothing."""

Report = Callable[[str], None]


def fetch_release(
    version: str,
    environment: Environment,
    *,
    cuda: Optional[str] = None,
    cpu: bool = False,
    abi: Optional[str] = None,
    python: Optional[str] = None,
    with_cuda_libraries: bool = False,
    pip: Optional[PipOptions] = None,
    report: Report = lambda line: None,
    echo: bool = False,
) -> Fetched:
    """Get the libtorch of a release of torch from its wheel, which pip downloads and checks by the index's hash.

    One that is there already is returned at once. Calls at the same time wait for each other.

    :param version: ``"2.6.0"`` (the index's default build, CUDA on Linux x86_64) or ``"2.6.0+cu124"``.
    :param cuda: the CUDA build, ``"cu124"`` or ``"12.4"``. :param cpu: the build without CUDA.
    :param abi: ``"old"`` or ``"new"``: libstdc++'s ABI.
    :param python: the Python whose wheel is taken, ``"3.11"``; it matters to libtorch_python only.
    :param with_cuda_libraries: get the ``nvidia-*`` wheels that it needs to run, too.
    :param report: takes lines of status. :param echo: show what pip prints.
    :raises SettingsError: the question means nothing.
    :raises LibTorchNotFoundError: no index has such a build.
    :raises LibTorchUnusableError: what came is not what was asked for.
    :raises ToolNotFoundError: there is no pip.
    """
    wanted = parse_wanted(version, cuda=cuda, cpu=cpu, abi=abi, python=python)
    options = pip or PipOptions()
    other = conflicting_abi(wanted, platform=environment.platform, machine=environment.machine)
    if other is not None:
        have, want = ("new", "old") if other else ("old", "new")
        raise LibTorchNotFoundError(
            f"torch {wanted.name} for {environment.platform} {environment.machine} has the {have} cxx11 ABI; "
            f"asked for was the {want} one",
            cures=_abi_cures(wanted),
        )
    asked = _question(wanted)
    store = fetched_dir(environment)
    with opened_store(store) as part:
        present = _present(environment, asked, wanted)
        if present is None:
            present = _fetch_wheel(wanted, asked, environment, options, part, report, echo)
        if with_cuda_libraries and not present.cuda_libraries:
            _fetch_cuda_libraries(present, environment, options, part, report, echo)
    return present


def fetch_archive(
    archive: str,
    sha256: Optional[str],
    environment: Environment,
    *,
    report: Report = lambda line: None,
) -> Fetched:
    """Get the libtorch of an archive: a ``libtorch-….zip``, a wheel, or a ``.tar.gz``.

    The checksum is compared before anything is unpacked. One that is there already is returned at once.

    :param archive: a file, or an address (https, http, file).
    :param sha256: 64 hexadecimal digits; required, because nobody publishes signed archives.
    :raises SettingsError: no or no whole checksum.
    :raises LibTorchNotFoundError: it cannot be had.
    :raises LibTorchUnusableError: wrong checksum, damaged, unsafe, or no libtorch in it.
    """
    digest = (sha256 or "").strip().lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digest):
        problem = f"{sha256!r} has not 64 hex digits" if digest else "required with --archive"
        raise SettingsError(
            [f"--sha256: {problem}; take it from whom you trust, or from a copy that you trust: sha256sum FILE"]
        )
    is_address = re.match(r"(https?|file)://", archive) is not None
    source = _without_credentials(archive) if is_address else Path(archive).name
    with opened_store(fetched_dir(environment)) as part:
        for one in list_fetched(environment):
            if one.sha256 == digest:
                return one
        if is_address:
            report(f"downloading {source}")
            file = part / "archive"
            _download(archive, file, source)
        else:
            file = Path(os.path.normpath(environment.cwd / archive))
        try:
            opened = open(file, "rb")  # noqa: SIM115 (entered below; only opening may fail like this)
        except OSError as error:
            raise LibTorchNotFoundError(f"{archive} cannot be read: {error.strerror}") from error
        with opened:
            actual = _digest(opened)
            if actual != digest:
                raise LibTorchUnusableError(
                    f"{source} is not the archive that was meant\n  its SHA-256 is {actual}\n  asked for was  {digest}",
                    cures=["download it anew", "check where address and checksum come from"],
                )
            return _install(opened, source, digest, "", environment, part, report, wanted=None, python=None)


def _question(wanted: Wanted) -> str:
    words = [wanted.name]
    if wanted.new_abi is not None:
        words.append(f"abi={'new' if wanted.new_abi else 'old'}")
    if wanted.python is not None:
        words.append("python={}.{}".format(*wanted.python))
    return " ".join(words)


def _present(environment: Environment, asked: str, wanted: Wanted) -> Optional[Fetched]:
    """One in the cache that answers the question."""
    tag = wanted.local or default_tag(wanted.release, environment.platform, environment.machine)
    for one in list_fetched(environment):
        if one.asked == asked:
            return one
        if one.name != f"{wanted.version}+{tag}" or wanted.python not in (None, parse_python(one.python)):
            continue
        if wanted.new_abi is None or read_libtorch(one.folder).cxx11_abi in (None, wanted.new_abi):
            return one
    return None


def _fetch_wheel(
    wanted: Wanted,
    asked: str,
    environment: Environment,
    options: PipOptions,
    part: Path,
    report: Report,
    echo: bool,
) -> Fetched:
    tries = plan_tries(
        wanted, platform=environment.platform, machine=environment.machine, running=running_python(environment)
    )
    refused = []
    for one in tries:
        report(f"asking pip for {one.requirement} (a wheel for Python {one.python[0]}.{one.python[1]})")
        answer = download_wheels([one.requirement], one.python, environment, options, part / "wheels", echo, deps=False)
        if answer:
            refused.append((one, answer))
            report("not there")
            continue
        (wheel,) = (part / "wheels").glob("*.whl")
        with open(wheel, "rb") as opened:
            digest = _digest(opened)
            python = "{}.{}".format(*one.python)
            return _install(
                opened, wheel.name, digest, asked, environment, part, report, wanted=wanted, python=python, wheel=wheel
            )
    raise _no_wheel(wanted, refused, environment, options)


def _no_wheel(
    wanted: Wanted, refused: Sequence[tuple[Try, str]], environment: Environment, options: PipOptions
) -> LibTorchNotFoundError:
    looked_in = []
    for one, output in refused:
        offered = parse_versions_offered(output)
        has = f"none; it has {', '.join(offered[-4:])}" if offered else "nothing for this Python and machine"
        looked_in.append((f"{one.requirement}, Python {one.python[0]}.{one.python[1]}", has))
    cures = []
    if wanted.local:
        cures.append(
            f"name an index that has it: torchscript-build fetch {wanted.version} "
            f"{'--cpu' if wanted.local == 'cpu' else f'--cuda {wanted.local}'} --index-url URL/{wanted.local}"
        )
        cures.append(f"take the default build: torchscript-build fetch {wanted.version}")
    else:
        cures.append("name an index that has it: --index-url URL")
    if wanted.python:
        cures.append("leave --python away: the wheel of any Python will do")
    index = "no index (--no-index)" if options.no_index else "pip's index"
    return LibTorchNotFoundError(
        f"{index} has no torch {wanted.name} for {environment.platform} {environment.machine}",
        looked_in=looked_in,
        cures=cures,
    )


def _abi_cures(wanted: Wanted) -> list[str]:
    if wanted.new_abi:
        return [
            f"torchscript-build fetch {wanted.version} --cpu --abi new --index-url URL/cpu-cxx11-abi",
            "take 2.7 or newer, which have the new ABI",
        ]
    return ["take 2.5 or older", "torchscript-build fetch --archive FILE|URL --sha256 HEX"]


def _install(
    archive: IO[bytes],
    source: str,
    digest: str,
    asked: str,
    environment: Environment,
    part: Path,
    report: Report,
    *,
    wanted: Optional[Wanted],
    python: Optional[str],
    wheel: Optional[Path] = None,
) -> Fetched:
    """Unpack, check, and put in place, all or nothing."""
    report(f"unpacking {source}")
    staged = part / "libtorch"
    staged.mkdir()
    unpacked = unpack_libtorch(archive, source, staged)
    if wheel is not None:
        with contextlib.suppress(PermissionError):  # Windows: it is open
            wheel.unlink()  # its gigabyte is not needed any more, and the disk may be small
    libtorch = _read_unpacked(unpacked.root, source)
    if wanted is not None:
        _check_answer(libtorch, wanted, source)
    name = build_name(libtorch, environment)
    folder = fetched_dir(environment) / name
    if folder.is_dir():
        known = read_record(folder)
        if wanted is not None and wanted.python not in (None, parse_python(known.python)):
            raise LibTorchUnusableError(
                f"{name} is there already, from the wheel for Python {known.python or 'unknown'}",
                cures=[f"torchscript-build fetch --remove {name}, then fetch it again", "leave --python away"],
            )
        report(f"{name} is there already")
        return known
    fetched = Fetched(name, folder, source, digest, unpacked.size, python, asked, new=True)
    write_record(staged / RECORD, fetched, libtorch)
    os.replace(staged, folder)
    return fetched


def _read_unpacked(root: Path, source: str) -> LibTorch:
    try:
        return read_libtorch(root)
    except LibTorchUnusableError as error:
        inside = error.problem.replace(f"{root.parent}{os.sep}", "")
        raise LibTorchUnusableError(f"the libtorch in {source} is not usable: {inside}") from error


def _check_answer(libtorch: LibTorch, wanted: Wanted, source: str) -> None:
    """Is it what was asked for? An index may have anything under a name."""
    problems = []
    if libtorch.version != wanted.version:
        problems.append(f"it is {libtorch.version}")
    if wanted.local and wanted.local not in (libtorch.local_version, variant_tag(libtorch)):
        problems.append(f"it is the build {libtorch.local_version or variant_tag(libtorch)}")
    if wanted.new_abi is not None and libtorch.cxx11_abi not in (None, wanted.new_abi):
        problems.append(f"it has the {'new' if libtorch.cxx11_abi else 'old'} cxx11 ABI")
    if problems:
        cures = _abi_cures(wanted) if "ABI" in problems[-1] else ["name another index with --index-url"]
        raise LibTorchUnusableError(f"{source} is not what was asked for: {' and '.join(problems)}", cures=cures)


def _fetch_cuda_libraries(
    fetched: Fetched, environment: Environment, options: PipOptions, part: Path, report: Report, echo: bool
) -> None:
    """The ``nvidia-*`` wheels that a CUDA wheel asks for, beside it."""
    requirements = cuda_requirements(fetched.folder, environment, fetched.python)
    if not requirements:
        report(f"{fetched.name} asks for no CUDA libraries from wheels")
        return
    report(f"asking pip for {', '.join(requirements)}")
    python = parse_python(fetched.python) or running_python(environment)
    wheels = part / "nvidia-wheels"
    answer = download_wheels(requirements, python, environment, options, wheels, echo, deps=True)
    if answer:
        raise LibTorchNotFoundError(
            f"pip's index has not all CUDA libraries of {fetched.name}\n" + last_lines(answer),
            cures=["name an index that has them: --index-url URL", "leave --with-cuda-libraries away"],
        )
    staged = part / "nvidia-files"
    staged.mkdir()
    for wheel in sorted(wheels.glob("nvidia_*.whl")):
        report(f"unpacking {wheel.name}")
        with open(wheel, "rb") as opened:
            unpack_nvidia(opened, wheel.name, staged)
        wheel.unlink()
    for entry in sorted(staged.iterdir(), key=lambda e: e.name == "nvidia"):  # nvidia last: it says that all are there
        if not (fetched.folder / entry.name).exists():
            os.replace(entry, fetched.folder / entry.name)


def _without_credentials(address: str) -> str:
    """An address as it may be shown and kept: without user, password and query, where tokens are put."""
    parts = urllib.parse.urlsplit(address)
    host = parts.netloc.rpartition("@")[2]
    return urllib.parse.urlunsplit((parts.scheme, host, parts.path, "", ""))


def _download(address: str, file: Path, source: str) -> None:
    """Stream an address to disk."""
    total = 0
    try:
        with urllib.request.urlopen(address, timeout=NETWORK_SECONDS) as answer, open(file, "wb") as out:
            promised = answer.headers.get("Content-Length")
            for block in iter(lambda: answer.read(BLOCK), b""):
                total += len(block)
                if total > MOST_DOWNLOADED:
                    raise LibTorchUnusableError(f"{source} is larger than {MOST_DOWNLOADED} bytes: this is no libtorch")
                out.write(block)
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        reason = getattr(error, "reason", None) or error
        raise LibTorchNotFoundError(
            f"{source} cannot be downloaded: {reason}", cures=["check the address", "try again"]
        ) from error
    if promised and promised.isdigit() and int(promised) != total:
        raise LibTorchNotFoundError(f"{source} was cut off after {total} of {promised} bytes", cures=["try again"])


def _digest(file: IO[bytes]) -> str:
    file.seek(0)
    digest = hashlib.sha256()
    for block in iter(lambda: file.read(BLOCK), b""):
        digest.update(block)
    file.seek(0)
    return digest.hexdigest()
