"""Small fake libtorches: the few files that are read, ELF files included, in the shapes in which libtorch comes."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

from torchscript_build.libtorch.releases import release_row
from torchscript_build.libtorch.versions import release_of
from torchscript_build.system import Environment

MakeEnvironment = Callable[..., Environment]
"""The fixture ``make_environment``."""

OLD = "_ZN3c105ErrorC1ENS_14SourceLocationESs"
NEW = "_ZN3c105ErrorC1ENS_14SourceLocationENSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
E_MACHINES = {"x86_64": 62, "aarch64": 183}


class _Strings:
    """An ELF string table that grows."""

    def __init__(self) -> None:
        self.data = b"\0"

    def add(self, text: str) -> int:
        at = len(self.data)
        self.data += text.encode() + b"\0"
        return at


def elf_hash(name: str) -> int:
    """The System V hash, by which symbol versions are compared."""
    value = 0
    for character in name.encode():
        value = (value << 4) + character
        high = value & 0xF0000000
        value ^= high >> 24
        value &= ~high
    return value & 0xFFFFFFFF


def build_elf(
    *,
    soname: Optional[str] = None,
    needed: Sequence[str] = (),
    rpath: Optional[str] = None,
    runpath: Optional[str] = None,
    exported: Sequence[str] = (),
    undefined: Sequence[str] = (),
    local: Sequence[str] = (),
    hidden: Sequence[str] = (),
    versions: Sequence[tuple[str, Sequence[str]]] = (),
    machine: str = "x86_64",
    interpreter: Optional[str] = None,
) -> bytes:
    """A 64-bit ELF library (or program, with an interpreter) that has tables and no code.

    :param versions: per needed library, the symbol versions wanted of it.
    """
    strings = _Strings()
    symbols = [struct.pack("<IBBHQQ", 0, 0, 0, 0, 0, 0)]
    for names, info, other, index in (
        (local, 0x02, 0, 1),
        (hidden, 0x12, 2, 1),
        (exported, 0x12, 0, 1),
        (undefined, 0x12, 0, 0),
    ):
        symbols += [struct.pack("<IBBHQQ", strings.add(n), info, other, index, 0, 0) for n in names]
    tags = [(1, strings.add(name)) for name in needed]
    tags += [(tag, strings.add(text)) for tag, text in ((14, soname), (15, rpath), (29, runpath)) if text]
    wanted = b""
    for number, (library, names) in enumerate(versions):
        entries = b"".join(
            struct.pack("<IHHII", elf_hash(n), 0, 2 + i, strings.add(n), 16 if i + 1 < len(names) else 0)
            for i, n in enumerate(names)
        )
        following = 16 + len(entries) if number + 1 < len(versions) else 0
        wanted += struct.pack("<HHIII", 1, len(names), strings.add(library), 16, following) + entries
    headers = 64 + 56 * 3
    blocks: list[tuple[str, int, bytes, int, int, int]] = []  # name, type, content, link, info, entry size
    blocks.append((".dynsym", 11, b"".join(symbols), 2, 1 + len(local), 24))
    blocks.append((".dynstr", 3, strings.data, 0, 0, 0))
    if wanted:
        blocks.append((".gnu.version_r", 0x6FFFFFFE, wanted, 2, len(versions), 0))
    if interpreter:
        blocks.append((".interp", 1, interpreter.encode() + b"\0", 0, 0, 0))
    at, places = headers, {}
    for name, _, content, *_ in blocks:
        at = (at + 7) & ~7
        places[name] = at
        at += len(content)
    tags += [(5, places[".dynstr"]), (10, len(strings.data)), (6, places[".dynsym"]), (11, 24)]
    if wanted:
        tags += [(0x6FFFFFFE, places[".gnu.version_r"]), (0x6FFFFFFF, len(versions))]
    dynamic = b"".join(struct.pack("<QQ", *tag) for tag in [*tags, (0, 0)])
    blocks.append((".dynamic", 6, dynamic, 2, 0, 16))
    places[".dynamic"] = at = (at + 7) & ~7
    at += len(dynamic)
    names_table = _Strings()
    name_at = {name: names_table.add(name) for name, *_ in blocks}
    name_at[".shstrtab"] = names_table.add(".shstrtab")
    blocks.append((".shstrtab", 3, names_table.data, 0, 0, 0))
    places[".shstrtab"] = at
    at += len(names_table.data)
    sections_at = (at + 7) & ~7
    sections = struct.pack("<IIQQQQIIQQ", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    for name, kind, content, link, info, size in blocks:
        place = places[name]
        loaded = 0 if name == ".shstrtab" else 2
        address = place if loaded else 0
        sections += struct.pack(
            "<IIQQQQIIQQ", name_at[name], kind, loaded, address, place, len(content), link, info, 8, size
        )
    count = len(blocks) + 1
    total = sections_at + 64 * count
    segments = [struct.pack("<IIQQQQQQ", 1, 4, 0, 0, 0, total, total, 0x1000)]
    start, size = places[".dynamic"], len(dynamic)
    segments.append(struct.pack("<IIQQQQQQ", 2, 6, start, start, start, size, size, 8))
    if interpreter:
        start, size = places[".interp"], len(interpreter) + 1
        segments.append(struct.pack("<IIQQQQQQ", 3, 4, start, start, start, size, size, 1))
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    header = ident + struct.pack(
        "<HHIQQQIHHHHHH", 3, E_MACHINES[machine], 1, 0, 64, sections_at, 0, 64, 56, len(segments), 64, count, count - 1
    )
    image = bytearray(total)
    image[: len(header)] = header
    image[64 : 64 + 56 * len(segments)] = b"".join(segments)
    for name, _, content, *_ in blocks:
        image[places[name] : places[name] + len(content)] = content
    image[sections_at:] = sections
    return bytes(image)


def build_macho(machine: str) -> bytes:
    """The header of a 64-bit Mach-O library."""
    return struct.pack("<IIIIIIII", 0xFEEDFACF, {"x86_64": 0x01000007, "arm64": 0x0100000C}[machine], 0, 6, 0, 0, 0, 0)


def build_dll(machine: str = "AMD64") -> bytes:
    """The headers of a DLL, as far as its machine."""
    stub = b"MZ" + bytes(58) + struct.pack("<I", 64)
    return stub + b"PE\0\0" + struct.pack("<H", {"AMD64": 0x8664, "ARM64": 0xAA64}[machine]) + bytes(32)


@dataclass(frozen=True)
class FakeTorch:
    """What a fake libtorch claims to be; the files follow the release's customs."""

    version: str = "2.13.0"
    local: Optional[str] = "cpu"
    machine: str = "x86_64"
    platform: str = "linux"
    abi: Optional[bool] = None
    """``None``: as the release's wheel."""
    cuda: Optional[str] = None
    cudnn: Optional[str] = None
    architectures: tuple[str, ...] = ()
    split_cuda: bool = False
    hip: Optional[str] = None
    xpu: Optional[str] = None

    @property
    def full(self) -> str:
        return f"{self.version}+{self.local}" if self.local else self.version

    @property
    def new_abi(self) -> bool:
        row = release_row(release_of(self.version))
        if self.abi is not None:
            return self.abi
        return row.pypi_cxx11_abi_aarch64 if self.machine == "aarch64" else row.pypi_cxx11_abi_x86_64

    @property
    def libraries(self) -> tuple[str, ...]:
        names = ["torch", "torch_cpu", "c10"]
        if self.cuda:
            names += ["torch_cuda", "c10_cuda", *(["torch_cuda_cu", "torch_cuda_cpp"] if self.split_cuda else [])]
        if self.hip:
            names += ["torch_hip", "c10_hip"]
        if self.xpu:
            names += ["torch_xpu", "c10_xpu"]
        return tuple(names)


def write(path: Path, content: str | bytes = "") -> Path:
    """Write a small file and the folders above it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def write_libraries(folder: Path, fake: FakeTorch, dlls: Optional[Path] = None, python: bool = False) -> None:
    """The libraries of a libtorch; on Windows the DLLs may lie in another folder."""
    for name in (*fake.libraries, *(["torch_python"] if python else [])):
        if fake.platform == "linux":
            exported = [NEW if fake.new_abi else OLD] if name == "c10" else []
            data = build_elf(soname=f"lib{name}.so", exported=exported, machine=fake.machine, runpath="$ORIGIN")
            write(folder / f"lib{name}.so", data)
        elif fake.platform == "darwin":
            write(folder / f"lib{name}.dylib", build_macho(fake.machine))
        else:
            write(folder / f"{name}.lib", b"!<arch>\n")
            write((dlls or folder) / f"{name}.dll", build_dll(fake.machine))


def write_headers(include: Path, fake: FakeTorch) -> None:
    """The headers that are looked for and read."""
    for name in ("torch/script.h", "torch/library.h", "torch/csrc/api/include/torch/torch.h", "ATen/ATen.h"):
        write(include / name)
    write(include / "c10" / "util" / "Exception.h")
    numbers = dict(zip(("MAJOR", "MINOR", "PATCH"), release_of(fake.version)))
    text = "".join(f"#define TORCH_VERSION_{k} {v}\n" for k, v in numbers.items())
    api = include / "torch" / "csrc" / "api" / "include" / "torch" / "version.h"
    if release_of(fake.version) >= (2, 10):
        write(include / "torch" / "headeronly" / "version.h", text)
        write(api, "#include <torch/headeronly/version.h>\n")
    else:
        write(api, text)
    if fake.cuda:
        flags = ";".join(f"-gencode;arch=compute_{a},code=sm_{a}" for a in fake.architectures)
        write(
            include / "ATen" / "cuda" / "CUDAConfig.h",
            f'#define AT_CUDNN_ENABLED() 1\n#define NVCC_FLAGS_EXTRA "{flags}"\n',
        )


def write_cmake(folder: Path, fake: FakeTorch) -> None:
    """``Torch`` and ``Caffe2`` below a ``share/cmake``, with what each release's files say."""
    release = release_of(fake.version)
    row = release_row(release)
    config = ""
    if release < (2, 8):
        flag = str(int(fake.new_abi)) if fake.platform == "linux" else ""
        config += f'  set(TORCH_CXX_FLAGS "-D_GLIBCXX_USE_CXX11_ABI={flag}")\n'
    if release >= (2, 15):
        config += "    target_compile_features(torch INTERFACE cxx_std_20)\n"
    else:
        config += f"set_target_properties(torch PROPERTIES\n    CXX_STANDARD {row.cxx_standard}\n)\n"
    write(folder / "Torch" / "TorchConfig.cmake", config)
    write(folder / "Torch" / "TorchConfigVersion.cmake", f'set(PACKAGE_VERSION "{fake.version}")\n')
    switch = ("1" if fake.cuda else "0") if release >= (2, 10) else ("ON" if fake.cuda else "OFF")
    write(folder / "Caffe2" / "Caffe2Config.cmake", f"if({switch})\n  set(CAFFE2_USE_CUDA {switch})\nendif()\n")


def write_version_py(package: Path, fake: FakeTorch) -> None:
    """Torch's ``version.py``, annotated from 2.2 on."""

    def line(name: str, value: Optional[str]) -> str:
        annotation = ": Optional[str]" if release_of(fake.version) >= (2, 2) else ""
        return f"{name}{annotation} = {value!r}\n"

    write(package / "__init__.py", "raise RuntimeError('torch must not be imported')\n")
    write(
        package / "version.py",
        f"__version__ = '{fake.full}'\ndebug = False\n"
        + line("cuda", fake.cuda)
        + "git_version = 'c0ffee'\n"
        + line("hip", fake.hip)
        + line("xpu", fake.xpu),
    )


def write_metadata(site: Path, fake: FakeTorch, installer: str = "pip") -> Path:
    """``torch-….dist-info``; PyPI's wheels leave the local part away where it is CUDA's."""
    version = fake.version if fake.cuda else fake.full
    series = (fake.cuda or "").partition(".")[0]
    requirements = [f"nvidia-cudnn-cu{series}=={fake.cudnn}"] if fake.cuda and fake.cudnn else []
    folder = site / f"torch-{version}.dist-info"
    lines = ["Metadata-Version: 2.1", "Name: torch", f"Version: {version}", "Requires-Dist: filelock"]
    lines += [f"Requires-Dist: {r} ; platform_system == 'Linux'" for r in requirements]
    write(folder / "METADATA", "\n".join(lines) + "\n\nTensors\nVersion: 0.0.0\n")
    write(folder / "INSTALLER", installer)
    return folder


def make_wheel(site: Path, fake: FakeTorch) -> Path:
    """An installed wheel; the root is ``<site>/torch``."""
    root = site / "torch"
    write_version_py(root, fake)
    write_libraries(root / "lib", fake, python=True)
    write_headers(root / "include", fake)
    write_cmake(root / "share" / "cmake", fake)
    write_metadata(site, fake)
    return root


def make_archive(parent: Path, fake: FakeTorch) -> Path:
    """An unpacked archive; the root is ``<parent>/libtorch``."""
    root = parent / "libtorch"
    write(root / "build-version", fake.full + "\n")
    write(root / "build-hash", "c0ffee\n")
    return make_install(root, fake)


def make_install(root: Path, fake: FakeTorch) -> Path:
    """An install prefix of a source build."""
    write_libraries(root / "lib", fake)
    write_headers(root / "include", fake)
    write_cmake(root / "share" / "cmake", fake)
    return root


def make_conda_libtorch(prefix: Path, fake: FakeTorch, build: str = "cpu_generic_h0123456_100") -> Path:
    """conda-forge's package libtorch alone: everything in the prefix, no Python."""
    write(prefix / "conda-meta" / f"libtorch-{fake.version}-{build}.json", "{}")
    return make_install(prefix, replace(fake, local=None))


def make_conda_pytorch(prefix: Path, fake: FakeTorch, build: str = "cpu_generic_py311_h0123456_100") -> Path:
    """conda-forge's package pytorch beside libtorch: the Python part, with links to the prefix's files."""
    site = prefix / "lib" / "python3.11" / "site-packages"
    package = site / "torch"
    plain = replace(fake, local=None)
    write_version_py(package, plain)
    write_metadata(site, plain, installer="conda")
    write(prefix / "conda-meta" / f"pytorch-{fake.version}-{build}.json", "{}")
    write(prefix / "lib" / "libtorch_python.so", build_elf(soname="libtorch_python.so", machine=fake.machine))
    for folder in ("lib", "include", "share/cmake"):
        (package / folder).mkdir(parents=True)
        for entry in sorted((prefix / folder).iterdir()):
            if entry.name != "python3.11":
                (package / folder / entry.name).symlink_to(entry)
    return package


def make_debian(usr: Path, fake: FakeTorch) -> Path:
    """A distribution's libtorch-dev, with multiarch folders and versioned names behind links."""
    libraries = usr / "lib" / f"{fake.machine}-linux-gnu"
    write_libraries(libraries, fake)
    for path in sorted(libraries.glob("*.so")):
        real = path.rename(path.with_name(f"{path.name}.{fake.version[:3]}"))
        path.symlink_to(real.name)
    write_headers(usr / "include", fake)
    write_cmake(usr / "share" / "cmake", fake)
    return usr
