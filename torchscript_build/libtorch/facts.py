"""What is known about one libtorch: the frozen ``LibTorch`` and the witness of each of its facts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Optional

from torchscript_build.records import dataclass, field


@dataclass(frozen=True)
class LibTorch:
    """One usable libtorch, read from its files; torch is never imported.

    Versions are strings as the field writes them. A fact that could not be learned, or that means nothing
    on this platform, is ``None`` or an empty tuple; ``witnesses`` tells where each known fact was read.
    """

    root: Path
    """The folder that holds ``include`` and ``lib``: ``<site-packages>/torch``, an unpacked archive, a conda prefix."""
    version: str
    """The release without its local part: ``"2.13.0"``."""
    local_version: Optional[str]
    """The local part: ``"cpu"``, ``"cu130"``; ``None`` where there is none."""
    cxx11_abi: Optional[bool]
    """libstdc++'s new ABI (``_GLIBCXX_USE_CXX11_ABI=1``)? ``None`` where libstdc++ is not used (macOS, Windows)."""
    cxx_standard: int
    """The C++ standard that this release's headers want: 14, 17 or 20."""
    backend: str
    """``"cpu"``, ``"cuda"``, ``"rocm"`` or ``"xpu"``."""
    cuda_version: Optional[str] = None
    """The CUDA release it was built with, ``"13.0"``."""
    cudnn_version: Optional[str] = None
    """The cuDNN release that belongs to it, as exactly as can be known: ``"9.24.0.43"`` or ``"8"``."""
    cuda_architectures: tuple[str, ...] = ()
    """CUDA architectures it was built for, without the dot, in its own order: ``("75", "80", "86")``;
    one that is there only as PTX bears the suffix ``+PTX``."""
    include_dirs: tuple[Path, ...] = ()
    """Include directories, in order."""
    library_dirs: tuple[Path, ...] = ()
    """Directories of its shared libraries; the first goes into RUNPATHs."""
    libraries: tuple[Path, ...] = ()
    """Libraries that C++ code links, in link order, absolute (import libraries on Windows)."""
    python_library: Optional[Path] = None
    """libtorch_python, for Python extension modules only."""
    definitions: tuple[str, ...] = ()
    """Compile definitions that every consumer needs, ``"_GLIBCXX_USE_CXX11_ABI=1"``."""
    layout: str = "wheel"
    """``"wheel"``, ``"archive"``, ``"conda"`` or ``"install"`` (a source build, a distribution's package)."""
    platform: str = "linux"
    """``"linux"``, ``"darwin"`` or ``"win32"``: what its libraries were made for."""
    machine: str = "x86_64"
    """The processor that its libraries were made for: ``"x86_64"``, ``"aarch64"``, ``"arm64"``, ``"AMD64"``."""
    found_by: str = ""
    """The search step that named it, as printed by ``torchscript-build find``."""
    witnesses: Mapping[str, str] = field(default_factory=dict, hash=False)
    """Fact name → the file, symbol or table row that it was read from."""

    @property
    def full_version(self) -> str:
        """The version with its local part: ``"2.13.0+cpu"``."""
        return f"{self.version}+{self.local_version}" if self.local_version else self.version

    @property
    def series(self) -> str:
        """Major and minor, ``"2.13"``: the range in which compiled code stays compatible."""
        return ".".join(self.version.split(".")[:2])

    @property
    def variant(self) -> str:
        """The build variant as the field writes it: ``torch213-cxx11-cpu-x86_64-linux``."""
        words = ["torch" + self.series.replace(".", "")]
        if self.cxx11_abi:
            words.append("cxx11")
        if self.backend == "cuda":
            words.append("cu" + (self.cuda_version or "").replace(".", ""))
        else:
            words.append(self.backend)
        words += [self.machine, {"win32": "windows"}.get(self.platform, self.platform)]
        return "-".join(words)
