"""A folder → facts, for every shape and release; and what is said about folders that are no good."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from trees import (
    NEW,
    OLD,
    FakeTorch,
    build_elf,
    make_archive,
    make_conda_libtorch,
    make_conda_pytorch,
    make_debian,
    make_install,
    make_wheel,
    write,
    write_cmake,
    write_libraries,
    write_metadata,
    write_version_py,
)

from torchscript_build.errors import LibTorchUnusableError
from torchscript_build.libtorch import LibTorch, read_libtorch
from torchscript_build.libtorch.accelerator import parse_architectures, parse_cuda_tag
from torchscript_build.libtorch.versions import parse_python_part

ARCHS_102 = ("37", "50", "60", "70")
ARCHS_11 = (*ARCHS_102, "75", "80", "86")
ARCHS_12 = ("50", "60", "70", "75", "80", "86", "90")
ARCHS_13 = ("75", "80", "86", "90", "100", "120")

WHEELS = {
    "1.8.1": FakeTorch("1.8.1", "cu102", cuda="10.2", architectures=ARCHS_102),
    "1.9.1": FakeTorch("1.9.1", "cu102", cuda="10.2", architectures=ARCHS_102),
    "1.10.2": FakeTorch("1.10.2", "cu102", cuda="10.2", architectures=ARCHS_102),
    "1.11.0": FakeTorch("1.11.0", "cu102", cuda="10.2", architectures=ARCHS_102),
    "1.12.1": FakeTorch("1.12.1", "cu102", cuda="10.2", architectures=ARCHS_102),
    "1.13.1": FakeTorch("1.13.1", "cu117", cuda="11.7", cudnn="8.5.0.96", architectures=ARCHS_11, split_cuda=True),
    "2.0.1": FakeTorch("2.0.1", "cu117", cuda="11.7", cudnn="8.5.0.96", architectures=ARCHS_11),
    "2.1.2": FakeTorch("2.1.2", "cu121", cuda="12.1", cudnn="8.9.2.26", architectures=ARCHS_12),
    "2.2.2": FakeTorch("2.2.2", "cu121", cuda="12.1", cudnn="8.9.2.26", architectures=ARCHS_12),
    "2.3.1": FakeTorch("2.3.1", "cu121", cuda="12.1", cudnn="8.9.2.26", architectures=ARCHS_12),
    "2.4.1": FakeTorch("2.4.1", "cu121", cuda="12.1", cudnn="9.1.0.70", architectures=ARCHS_12),
    "2.5.1": FakeTorch("2.5.1", "cu124", cuda="12.4", cudnn="9.1.0.70", architectures=ARCHS_12),
    "2.6.0": FakeTorch("2.6.0", "cu124", cuda="12.4", cudnn="9.1.0.70", architectures=ARCHS_12),
    "2.7.1": FakeTorch("2.7.1", "cu126", cuda="12.6", cudnn="9.5.1.17", architectures=ARCHS_12),
    "2.8.0": FakeTorch("2.8.0", "cu128", cuda="12.8", cudnn="9.10.2.21", architectures=("70", *ARCHS_13)),
    "2.9.1": FakeTorch("2.9.1", "cu128", cuda="12.8", cudnn="9.10.2.21", architectures=("70", *ARCHS_13)),
    "2.10.0": FakeTorch("2.10.0", "cu128", cuda="12.8", cudnn="9.10.2.21", architectures=("70", *ARCHS_13)),
    "2.11.0": FakeTorch("2.11.0", "cu130", cuda="13.0", cudnn="9.19.0.56", architectures=ARCHS_13),
    "2.12.1": FakeTorch("2.12.1", "cu130", cuda="13.0", cudnn="9.20.0.48", architectures=ARCHS_13),
    "2.13.0": FakeTorch("2.13.0", "cu130", cuda="13.0", cudnn="9.20.0.48", architectures=ARCHS_13),
    "2.14.1": FakeTorch("2.14.1", "cu130", cuda="13.0", cudnn="9.24.0.43", architectures=ARCHS_13),
    "2.15.0": FakeTorch("2.15.0", "cu132", cuda="13.2", cudnn="9.26.0.51", architectures=ARCHS_13),
}
"""PyPI's wheels for x86_64."""

X86_64_OLD = ("1.", "2.0.", "2.1.", "2.2.", "2.3.", "2.4.", "2.5.", "2.6.")
AARCH64_OLD = X86_64_OLD[:-1]


def cxx_standard(version: str) -> int:
    if version.startswith("1."):
        return 14
    return 20 if int(version.split(".")[1]) >= 12 else 17


@pytest.mark.parametrize("version", WHEELS)
def test_cuda_wheels_of_every_release(tmp_path: Path, version: str) -> None:
    fake = WHEELS[version]
    root = make_wheel(tmp_path, fake)
    found = read_libtorch(root)
    new = not version.startswith(X86_64_OLD)
    cuda_parts = ["libtorch_cuda_cu.so", "libtorch_cuda_cpp.so"] if version == "1.13.1" else []
    names = ["libtorch.so", "libtorch_cuda.so", *cuda_parts, "libtorch_cpu.so", "libc10_cuda.so", "libc10.so"]
    assert replace(found, witnesses={}) == LibTorch(
        root=root,
        version=version,
        local_version=fake.local,
        cxx11_abi=new,
        cxx_standard=cxx_standard(version),
        backend="cuda",
        cuda_version=fake.cuda,
        cudnn_version=fake.cudnn,
        cuda_architectures=fake.architectures,
        include_dirs=(root / "include", root / "include/torch/csrc/api/include"),
        library_dirs=(root / "lib",),
        libraries=tuple(root / "lib" / name for name in names),
        python_library=root / "lib/libtorch_python.so",
        definitions=(f"_GLIBCXX_USE_CXX11_ABI={int(new)}",),
        layout="wheel",
        platform="linux",
        machine="x86_64",
    )


@pytest.mark.parametrize("version", WHEELS)
def test_cpu_wheels_for_aarch64_of_every_release(tmp_path: Path, version: str) -> None:
    fake = FakeTorch(version, "cpu" if version >= "2.6" else None, machine="aarch64")
    found = read_libtorch(make_wheel(tmp_path, fake))
    assert (found.machine, found.backend, found.cuda_version) == ("aarch64", "cpu", None)
    assert found.cxx11_abi is not version.startswith(AARCH64_OLD)
    assert [path.name for path in found.libraries] == ["libtorch.so", "libtorch_cpu.so", "libc10.so"]


def test_every_fact_names_its_witness(tmp_path: Path) -> None:
    root = make_wheel(tmp_path, WHEELS["2.6.0"])
    assert read_libtorch(root).witnesses == {
        "version": f"{root}/version.py",
        "machine": f"{root}/lib/libc10.so",
        "platform": f"{root}/lib/libc10.so",
        "backend": f"{root}/lib/libtorch_cuda.so",
        "cuda_version": f"{root}/version.py",
        "cudnn_version": f"nvidia-cudnn-cu12==9.1.0.70 in {tmp_path}/torch-2.6.0.dist-info/METADATA",
        "cuda_architectures": f"NVCC_FLAGS_EXTRA in {root}/include/ATen/cuda/CUDAConfig.h",
        "cxx11_abi": f"symbol {OLD} in {root}/lib/libc10.so",
        "cxx_standard": f"{root}/share/cmake/Torch/TorchConfig.cmake",
    }


# Shapes.


@pytest.mark.parametrize("abi", [False, True])
@pytest.mark.parametrize("version", ["1.8.1", "1.13.1", "2.7.1"])
def test_archives_exist_with_both_abis(tmp_path: Path, version: str, abi: bool) -> None:
    found = read_libtorch(make_archive(tmp_path, FakeTorch(version, "cpu", abi=abi)))
    assert (found.layout, found.full_version, found.cxx11_abi) == ("archive", f"{version}+cpu", abi)
    assert found.witnesses["version"] == f"{tmp_path}/libtorch/build-version"
    assert found.python_library is None


def test_a_cuda_archive_tells_its_cuda_by_its_version(tmp_path: Path) -> None:
    fake = FakeTorch("2.4.1", "cu118", cuda="11.8", architectures=("50", "90"))
    root = make_archive(tmp_path, fake)
    write(root / "lib" / "libcudnn.so.9")
    found = read_libtorch(root)
    assert (found.cuda_version, found.cudnn_version) == ("11.8", "9")
    assert found.witnesses["cudnn_version"] == f"{root}/lib/libcudnn.so.9"


@pytest.mark.parametrize(
    "below", ["", "torch", "torch/share/cmake/Torch", "torch/share/cmake", "torch/share/cmake/Torch/"]
)
def test_doors_to_a_wheel(tmp_path: Path, below: str) -> None:
    root = make_wheel(tmp_path, FakeTorch())
    assert read_libtorch(f"{tmp_path}/{below}").root == root


def test_the_parent_of_an_archive_is_a_door(tmp_path: Path) -> None:
    root = make_archive(tmp_path, FakeTorch())
    assert read_libtorch(tmp_path).root == root


def test_a_folder_with_two_libtorches_is_refused(tmp_path: Path) -> None:
    make_archive(tmp_path, FakeTorch())
    make_wheel(tmp_path, FakeTorch())
    with pytest.raises(LibTorchUnusableError, match="holds both libtorch and torch: name one of them"):
        read_libtorch(tmp_path)


@pytest.mark.parametrize("line", ['set(_ts_torch_prefix "{}")', "set(_ts_torch_prefix [==[{}]==])"])
def test_a_cmake_package_of_our_own_is_a_door(tmp_path: Path, line: str) -> None:
    root = make_wheel(tmp_path / "site", FakeTorch())
    write(tmp_path / "build" / "cmake" / "TorchConfig.cmake", line.format(root) + "\n")
    assert read_libtorch(tmp_path / "build" / "cmake").root == root


def test_the_door_is_not_resolved(tmp_path: Path) -> None:
    make_wheel(tmp_path / "store", FakeTorch())
    (tmp_path / "env").symlink_to(tmp_path / "store")
    assert read_libtorch(tmp_path / "env" / "torch").root == tmp_path / "env" / "torch"


def test_a_virtual_environment_is_a_door(tmp_path: Path) -> None:
    root = make_wheel(tmp_path / "lib" / "python3.12" / "site-packages", FakeTorch())
    assert read_libtorch(tmp_path).root == root


def test_conda_with_torch_in_site_packages(tmp_path: Path) -> None:
    site = tmp_path / "lib" / "python3.10" / "site-packages"
    fake = FakeTorch("1.13.1", None, cuda="11.7", architectures=("86",))
    root = make_wheel(site, replace(fake, cudnn=None))
    write(tmp_path / "conda-meta" / "pytorch-1.13.1-py3.10_cuda11.7_cudnn8.5.0_0.json", "{}")
    write(tmp_path / "conda-meta" / "pytorch-mutex-1.0-cuda.json", "{}")
    write(tmp_path / "conda-meta" / "pytorch-cuda-11.7-h778d358_5.json", "{}")
    found = read_libtorch(tmp_path)
    assert (found.root, found.layout) == (root, "conda")
    assert (found.cuda_version, found.cudnn_version) == ("11.7", "8.5.0")


def test_a_wheel_in_a_conda_environment_is_a_wheel(tmp_path: Path) -> None:
    (tmp_path / "conda-meta").mkdir()
    make_wheel(tmp_path / "lib" / "python3.10" / "site-packages", FakeTorch())
    assert read_libtorch(tmp_path).layout == "wheel"


def test_conda_with_libtorch_only(tmp_path: Path) -> None:
    prefix = make_conda_libtorch(tmp_path, FakeTorch("2.8.0"))
    found = read_libtorch(prefix)
    assert (found.root, found.layout, found.version, found.cxx11_abi) == (prefix, "conda", "2.8.0", True)
    assert found.include_dirs == (prefix / "include", prefix / "include/torch/csrc/api/include")
    assert found.witnesses["version"] == f"{prefix}/conda-meta/libtorch-2.8.0-cpu_generic_h0123456_100.json"


def test_conda_tells_cuda_in_the_build_string(tmp_path: Path) -> None:
    fake = FakeTorch("2.8.0", cuda="12.9", architectures=("90",))
    found = read_libtorch(make_conda_libtorch(tmp_path, fake, "cuda129_generic_h0123456_200"))
    assert (found.backend, found.cuda_version) == ("cuda", "12.9")


def test_conda_with_libtorch_and_pytorch_by_the_prefix(tmp_path: Path) -> None:
    prefix = make_conda_libtorch(tmp_path, FakeTorch("2.8.0"))
    make_conda_pytorch(prefix, FakeTorch("2.8.0"))
    found = read_libtorch(prefix)
    assert (found.root, found.layout) == (prefix, "conda")
    assert found.python_library == prefix / "lib/libtorch_python.so"


def test_conda_with_libtorch_and_pytorch_by_the_package(tmp_path: Path) -> None:
    prefix = make_conda_libtorch(tmp_path, FakeTorch("2.8.0"))
    package = make_conda_pytorch(prefix, FakeTorch("2.8.0"))
    found = read_libtorch(package)
    assert (found.root, found.layout) == (package, "conda")
    assert found.library_dirs == (package / "lib",)


def test_conda_with_a_package_that_has_no_links(tmp_path: Path) -> None:
    prefix = make_conda_libtorch(tmp_path, FakeTorch("2.8.0"))
    site = prefix / "lib" / "python3.11" / "site-packages"
    write_version_py(site / "torch", FakeTorch("2.8.0", None))
    write_metadata(site, FakeTorch("2.8.0", None))
    for door in (site, site / "torch", prefix):
        assert read_libtorch(door).root == prefix


def test_another_torch_in_a_prefix_is_no_witness_of_the_prefix(tmp_path: Path) -> None:
    prefix = make_conda_libtorch(tmp_path, FakeTorch("2.8.0"))
    make_wheel(prefix / "lib" / "python3.11" / "site-packages", FakeTorch("2.6.0"))
    assert read_libtorch(prefix).version == "2.8.0"


def test_windows_conda(tmp_path: Path) -> None:
    fake = FakeTorch("2.8.0", None, platform="win32", machine="AMD64")
    library = tmp_path / "Library"
    make_install(library, fake)
    for path in sorted((library / "lib").glob("*.dll")):
        (library / "bin").mkdir(exist_ok=True)
        path.rename(library / "bin" / path.name)
    write(tmp_path / "conda-meta" / "libtorch-2.8.0-cpu_mkl_h0123456_100.json", "{}")
    found = read_libtorch(tmp_path)
    assert (found.root, found.layout, found.platform) == (library, "conda", "win32")
    assert found.library_dirs == (library / "bin", library / "lib")
    assert found.libraries[-1] == library / "lib" / "c10.lib"


def test_a_source_install(tmp_path: Path) -> None:
    found = read_libtorch(make_install(tmp_path / "opt" / "pytorch", FakeTorch("2.6.0", abi=True)))
    assert (found.layout, found.full_version, found.cxx11_abi) == ("install", "2.6.0", True)


def test_a_source_install_in_lib64(tmp_path: Path) -> None:
    root = make_install(tmp_path, FakeTorch())
    (root / "lib").rename(root / "lib64")
    assert read_libtorch(root).library_dirs == (root / "lib64",)


def test_a_distributions_package(tmp_path: Path) -> None:
    usr = make_debian(tmp_path / "usr", FakeTorch("2.6.0", abi=True))
    found = read_libtorch(usr)
    assert (found.root, found.layout, found.cxx11_abi) == (usr, "install", True)
    assert found.library_dirs == (usr / "lib" / "x86_64-linux-gnu",)
    assert found.include_dirs[0] == usr / "include"


@pytest.mark.parametrize("version", ["1.8.1", "2.15.0"])
def test_windows_wheels(tmp_path: Path, version: str) -> None:
    root = make_wheel(tmp_path, FakeTorch(version, "cpu", platform="win32", machine="AMD64"))
    write(root / "bin" / "c10.dll")
    found = read_libtorch(root)
    assert found.library_dirs == (root / "lib",)
    assert (found.platform, found.machine, found.cxx11_abi, found.definitions) == ("win32", "AMD64", None, ())
    assert [path.name for path in found.libraries] == ["torch.lib", "torch_cpu.lib", "c10.lib"]
    assert found.variant == f"torch{''.join(version.split('.')[:2])}-cpu-AMD64-windows"


def test_a_windows_libtorch_without_its_dlls(tmp_path: Path) -> None:
    root = make_wheel(tmp_path, FakeTorch(platform="win32", machine="AMD64"))
    (root / "lib" / "c10.dll").unlink()
    assert "incomplete libtorch: c10.dll missing" in message(root)


def test_macos_wheels(tmp_path: Path) -> None:
    found = read_libtorch(make_wheel(tmp_path, FakeTorch("2.15.0", None, platform="darwin", machine="arm64")))
    assert (found.platform, found.machine, found.cxx11_abi) == ("darwin", "arm64", None)
    assert [path.name for path in found.libraries] == ["libtorch.dylib", "libtorch_cpu.dylib", "libc10.dylib"]


@pytest.mark.parametrize(
    ("fake", "backend", "libraries"),
    [
        (FakeTorch("2.6.0", "rocm6.2.4", hip="6.2.4", abi=True), "rocm", ["libtorch_hip.so", "libc10_hip.so"]),
        (FakeTorch("2.7.1", "xpu", xpu="20250101"), "xpu", ["libtorch_xpu.so", "libc10_xpu.so"]),
    ],
)
def test_other_accelerators(tmp_path: Path, fake: FakeTorch, backend: str, libraries: list[str]) -> None:
    found = read_libtorch(make_wheel(tmp_path, fake))
    assert found.backend == backend
    assert [path.name for path in found.libraries] == [
        "libtorch.so",
        libraries[0],
        "libtorch_cpu.so",
        libraries[1],
        "libc10.so",
    ]


def test_cudnn_beside_the_wheel(tmp_path: Path) -> None:
    root = make_wheel(tmp_path, FakeTorch("2.6.0", "cu124", cuda="12.4"))
    write(tmp_path / "nvidia" / "cudnn" / "lib" / "libcudnn.so.9")
    assert read_libtorch(root).cudnn_version == "9"
    header = tmp_path / "nvidia" / "cudnn" / "include" / "cudnn_version.h"
    write(header, "#define CUDNN_MAJOR 9\n#define CUDNN_MINOR 1\n#define CUDNN_PATCHLEVEL 0\n")
    assert read_libtorch(root).cudnn_version == "9.1.0"


def test_the_cuda_series_is_known_from_what_c10_cuda_needs(tmp_path: Path) -> None:
    root = make_install(tmp_path / "pytorch", FakeTorch("2.6.0", cuda="12.4"))
    write(root / "lib" / "libc10_cuda.so", build_elf(needed=["libcudart.so.12"]))
    found = read_libtorch(root)
    assert found.cuda_version == "12"
    assert found.witnesses["cuda_version"] == f"libcudart.so.12 NEEDED by {root}/lib/libc10_cuda.so"


# Small parsers.


@pytest.mark.parametrize(
    ("tag", "version"),
    [
        ("cu102", "10.2"),
        ("cu92", "9.2"),
        ("cu118", "11.8"),
        ("cu130", "13.0"),
        ("cpu", None),
        ("cu1234", None),
        ("", None),
    ],
)
def test_cuda_tags(tag: str, version: str | None) -> None:
    assert parse_cuda_tag(tag) == version


def test_architectures_that_are_only_ptx_are_marked() -> None:
    line = (
        '#define NVCC_FLAGS_EXTRA "-gencode;arch=compute_80,code=sm_80;-gencode;arch=compute_90a,code=sm_90a;'
        '-gencode;arch=compute_90,code=compute_90;-gencode;arch=compute_80,code=compute_80"'
    )
    assert parse_architectures(line) == ("80", "90a", "90+PTX")
    assert parse_architectures("") == ()


@pytest.mark.parametrize(
    "text",
    [
        "__version__ = '2.6.0+cu124'\ncuda = '12.4'\nhip = None\n",
        "__version__ = '2.6.0+cu124'\ncuda: Optional[str] = '12.4'\nhip: Optional[str] = None\n",
        '__version__ = "2.6.0+cu124"\ncuda: str | None = "12.4"\n',
    ],
)
def test_every_spelling_of_version_py(text: str) -> None:
    part = parse_python_part(text, Path("version.py"))
    assert part is not None
    assert (part.version, part.cuda, part.hip) == ("2.6.0+cu124", "12.4", None)


# Mixed and broken installations.


def message(path: Path) -> str:
    with pytest.raises(LibTorchUnusableError) as caught:
        read_libtorch(path)
    return str(caught.value)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("torch/share/cmake/Torch/TorchConfigVersion.cmake", 'set(PACKAGE_VERSION "2.5.1")\n'),
        (
            "torch/include/torch/headeronly/version.h",
            "#define TORCH_VERSION_MAJOR 2\n#define TORCH_VERSION_MINOR 12\n#define TORCH_VERSION_PATCH 0\n",
        ),
        ("torch-2.6.0.dist-info/METADATA", "Name: torch\nVersion: 2.6.0\n"),
        ("torch/build-version", "2.12.0+cpu\n"),
    ],
)
def test_two_versions_in_one_folder_are_a_mixed_installation(tmp_path: Path, file: str, content: str) -> None:
    root = make_wheel(tmp_path, FakeTorch("2.13.0", "cpu"))
    write(tmp_path / file, content)
    text = message(root)
    assert f"{root} is a mixed installation" in text
    assert str(tmp_path / file) in text
    assert str(root / "version.py") in text


def test_two_variants_in_one_folder_are_a_mixed_installation(tmp_path: Path) -> None:
    root = make_wheel(tmp_path, FakeTorch("2.6.0", "cpu"))
    write_metadata(tmp_path, FakeTorch("2.6.0", "cu124"))
    text = message(root)
    assert "is a mixed installation" in text
    assert f"2.6.0+cu124 says {tmp_path}/torch-2.6.0+cu124.dist-info/METADATA" in text


def test_a_source_builds_commit_is_no_disagreement(tmp_path: Path) -> None:
    root = make_wheel(tmp_path, FakeTorch("2.13.0", None))
    write(root / "version.py", "__version__ = '2.13.0a0+git1234abc'\n")
    found = read_libtorch(root)
    assert (found.version, found.local_version, found.series) == ("2.13.0a0", "git1234abc", "2.13")


def test_two_abis_in_one_folder_are_an_error_with_both_witnesses(tmp_path: Path) -> None:
    root = make_wheel(tmp_path, FakeTorch("2.6.0", abi=True))
    write_cmake(root / "share" / "cmake", FakeTorch("2.6.0", abi=False))
    text = message(root)
    assert f"{root}/lib/libc10.so exports {NEW}: _GLIBCXX_USE_CXX11_ABI=1" in text
    assert f"{root}/share/cmake/Torch/TorchConfig.cmake says _GLIBCXX_USE_CXX11_ABI=0" in text


def test_the_config_decides_where_the_binary_does_not_tell(tmp_path: Path) -> None:
    root = make_wheel(tmp_path, FakeTorch("2.6.0", abi=False))
    write(root / "lib" / "libc10.so", build_elf())
    found = read_libtorch(root)
    assert found.cxx11_abi is False
    assert found.witnesses["cxx11_abi"] == f"{root}/share/cmake/Torch/TorchConfig.cmake"


def test_from_2_8_on_there_is_only_the_new_abi(tmp_path: Path) -> None:
    root = make_wheel(tmp_path, FakeTorch("2.8.0"))
    write(root / "lib" / "libc10.so", build_elf())
    found = read_libtorch(root)
    assert (found.cxx11_abi, found.witnesses["cxx11_abi"]) == (True, "every Linux build of 2.8")


@pytest.mark.parametrize(("symbols", "words"), [([], "neither ABI's symbol"), ([OLD, NEW], "both ABIs' symbols")])
def test_an_abi_that_nobody_tells_is_not_guessed(tmp_path: Path, symbols: list[str], words: str) -> None:
    root = make_wheel(tmp_path, FakeTorch("2.6.0"))
    write(root / "lib" / "libc10.so", build_elf(exported=symbols))
    (root / "share" / "cmake" / "Torch" / "TorchConfig.cmake").unlink()
    assert f"{root}/lib/libc10.so has {words}" in message(root)


def test_the_standard_follows_from_the_table_without_a_config(tmp_path: Path) -> None:
    root = make_wheel(tmp_path, FakeTorch("2.12.1"))
    (root / "share" / "cmake" / "Torch" / "TorchConfig.cmake").unlink()
    found = read_libtorch(root)
    assert (found.cxx_standard, found.witnesses["cxx_standard"]) == (20, "every build of 2.12")


def test_a_standard_that_differs_from_the_table_is_remarked(tmp_path: Path) -> None:
    root = make_wheel(tmp_path, FakeTorch("2.12.1"))
    config = write(root / "share" / "cmake" / "Torch" / "TorchConfig.cmake", "CXX_STANDARD 17\n")
    found = read_libtorch(root)
    assert found.cxx_standard == 17
    assert found.witnesses["cxx_standard"] == f"{config} (the table of releases says 20)"


def test_a_release_newer_than_the_table_is_read_by_its_own_files(tmp_path: Path) -> None:
    found = read_libtorch(make_wheel(tmp_path, FakeTorch("3.1.0", "cpu")))
    assert (found.version, found.cxx_standard, found.cxx11_abi) == ("3.1.0", 20, True)


def test_a_release_that_is_too_old_is_refused(tmp_path: Path) -> None:
    assert "is libtorch 1.7.1; the oldest that torchscript-build supports is 1.8.1" in message(
        make_wheel(tmp_path, FakeTorch("1.7.1"))
    )


@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ("lib/libtorch_cpu.so", "libtorch_cpu.so missing in {root}/lib"),
        ("lib/libtorch.so", "libtorch.so missing in {root}/lib"),
        ("include/torch/script.h", "torch/script.h missing in {root}/include"),
    ],
)
def test_missing_parts_are_named(tmp_path: Path, gone: str, words: str) -> None:
    root = make_wheel(tmp_path, FakeTorch())
    (root / gone).unlink()
    text = message(root)
    assert words.format(root=root) in text
    assert "pip install --force-reinstall torch" in text


def test_all_missing_headers_are_named_at_once(tmp_path: Path) -> None:
    root = make_wheel(tmp_path, FakeTorch())
    (root / "include").rename(tmp_path / "elsewhere")
    assert "torch/script.h, torch/library.h, ATen and c10 missing" in message(root)


def test_a_cuda_build_without_its_cuda_library(tmp_path: Path) -> None:
    root = make_wheel(tmp_path, WHEELS["2.6.0"])
    (root / "lib" / "libtorch_cuda.so").unlink()
    text = message(root)
    assert "was built with CUDA" in text
    assert f"{root}/lib/libtorch_cuda.so is missing" in text


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "is a Git LFS pointer"),
        (b"hello\n", "is a text file"),
        (build_elf(exported=[NEW])[:40], "is truncated"),
        (build_elf(exported=[NEW])[:300], "is truncated: 300 bytes"),
        (b"MZ\0\0" * 40, "is not an ELF file"),
        (b"\x7fELF\x01\x01" + bytes(60), "is a 32-bit library"),
    ],
)
def test_a_bad_libc10(tmp_path: Path, content: bytes, words: str) -> None:
    root = make_wheel(tmp_path, FakeTorch())
    write(root / "lib" / "libc10.so", content)
    assert f"{root}/lib/libc10.so {words}" in message(root)


def test_libraries_for_two_processors_are_a_mixed_installation(tmp_path: Path) -> None:
    root = make_wheel(tmp_path, FakeTorch())
    write(root / "lib" / "libtorch_cpu.so", build_elf(machine="aarch64"))
    assert "libc10.so was made for x86_64, libtorch_cpu.so for aarch64" in message(root)


@pytest.mark.parametrize(
    "content", [b"", b"import os\n", b"__version__ = get()\n", b"\xff\xfe\0", b"__version__ = 'x'\n"]
)
def test_a_surprising_version_py(tmp_path: Path, content: bytes) -> None:
    root = make_wheel(tmp_path, FakeTorch())
    write(root / "version.py", content)
    assert f"{root}/version.py names no version" in message(root)


def test_a_folder_whose_version_nobody_tells(tmp_path: Path) -> None:
    write_libraries(tmp_path / "lib", FakeTorch())
    assert "nothing in it tells its version" in message(tmp_path)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    root = make_wheel(tmp_path, FakeTorch())
    (root / "version.py").unlink()
    (root / "version.py").symlink_to(root / "lib")
    (root / "share" / "cmake" / "Torch" / "TorchConfigVersion.cmake").unlink()
    (root / "share" / "cmake" / "Torch" / "TorchConfigVersion.cmake").mkdir()
    assert "TorchConfigVersion.cmake cannot be read: Is a directory" in message(root)


@pytest.mark.skipif(sys.platform == "win32", reason="needs symbolic links")
def test_folders_that_are_no_libtorch(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    write(tmp_path / "file.txt", "x")
    write(tmp_path / "libtorch.zip", "PK")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "broken").symlink_to(tmp_path / "gone")
    write(tmp_path / "other" / "readme")
    write(tmp_path / "static" / "lib" / "libc10.a")
    (tmp_path / "cycle" / "lib").mkdir(parents=True)
    (tmp_path / "cycle" / "lib" / "libc10.so").symlink_to(tmp_path / "cycle" / "lib" / "libc10.so")
    write(tmp_path / "python" / "torch" / "version.py", "__version__ = '2.6.0'\n")
    write(tmp_path / "python" / "torch" / "nn" / "__init__.py")
    lib = make_install(tmp_path / "whole", FakeTorch()) / "lib"
    for name, reason in {
        "gone": "does not exist",
        "empty": "is empty",
        "file.txt": "is a file, not a folder",
        "libtorch.zip": "is an archive: unpack it and name the folder",
        "loop": "is a symbolic link that leads back to itself",
        "broken": "points to nothing (a broken symbolic link)",
        "other": "no lib/libc10.so",
        "static": "a static libtorch (lib/libc10.a); torchscript-build links the shared one",
        "cycle": "lib/libc10.so is a symbolic link that leads nowhere",
        "python/torch": "is torch's Python package without its libraries (no lib/libc10.so)",
        "whole/lib": f"is the library folder of a libtorch: name its parent, {lib.parent}",
    }.items():
        assert message(tmp_path / name) == f"no libtorch in {tmp_path / name}: {reason}"


def test_a_folder_that_contains_itself(tmp_path: Path) -> None:
    root = make_wheel(tmp_path, FakeTorch())
    (root / "torch").symlink_to(root)
    (tmp_path / "libtorch").symlink_to(tmp_path)
    assert read_libtorch(tmp_path).root == root
