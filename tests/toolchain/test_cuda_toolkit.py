"""The CUDA toolkit: the search on made-up ones, checks, architectures, the merged view; with the real nvcc if any."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from children import clean_variables, run_child
from support import write

from torchscript_build.errors import SettingsError, ToolNotFoundError
from torchscript_build.libtorch.facts import LibTorch
from torchscript_build.system import Environment, PythonTarget
from torchscript_build.toolchain.cuda import search as cuda
from torchscript_build.toolchain.cuda.architectures import plan_architectures
from torchscript_build.toolchain.cuda.check import check_toolkit
from torchscript_build.toolchain.cuda.parts import (
    Headers,
    Link,
    find_headers,
    find_parts,
    needs_merging,
    plan_merged_toolkit,
    write_merged_toolkit,
)
from torchscript_build.toolchain.cuda.read import CudaToolkit, parse_dryrun, parse_host_config, read_toolkit
from torchscript_build.toolchain.cuda.search import find_cuda_toolkit, locate_cuda_toolkit
from torchscript_build.toolchain.cuda.tables import HOST_COMPILERS, NVCC_FLAGS, TORCH_HEADERS, host_compilers
from torchscript_build.toolchain.cxx import CxxCompiler

LIBTORCH = LibTorch(
    root=Path("/site/torch"),
    version="2.13.0",
    local_version="cu130",
    cxx11_abi=True,
    cxx_standard=20,
    backend="cuda",
    cuda_version="13.0",
    cuda_architectures=("75", "80", "86", "90", "100", "120"),
)
HOST_CONFIG = "#if __GNUC__ > 15\n#error\n#endif\n#if (__clang_major__ >= 21) || (__clang_major__ < 3)\n#endif\n"
ARCHITECTURES_13 = "75 80 86 87 88 89 90 100 110 103 120 121"


def make_toolkit(
    root: Path,
    version: str = "13.0.88",
    *,
    architectures: str = ARCHITECTURES_13,
    program: str = "bin/nvcc",
    headers: tuple[str, ...] = tuple(h.name for h in TORCH_HEADERS),
    libraries: tuple[str, ...] = ("lib64/libcudart.so", "lib64/libcudart_static.a"),
) -> Path:
    """A toolkit with a script for nvcc, which answers the three questions as the real one does."""
    for header in headers:
        write(root / "include" / header, HOST_CONFIG if header.endswith("host_config.h") else "")
    for library in libraries:
        write(root / library)
    names = "\n".join(f"compute_{a}" for a in architectures.split())
    release = ".".join(version.split(".")[:2])
    nvcc = write(
        root / program,
        f"""\
#!/bin/sh
case "$1" in
  --version) echo "nvcc: NVIDIA (R) Cuda compiler driver, release {release}, V{version}";;
  --list-gpu-arch) {f"echo '{names}'" if names else "echo 'nvcc fatal   : Unknown option' >&2; exit 1"};;
  --dryrun)
    echo '#$ TOP={root}/bin/..'
    echo '#$ INCLUDES="-I{root}/bin/..//include"  '
    echo '#$ SYSTEM_INCLUDES="-isystem" "{root}/bin/..//include/cccl"  '
    echo '#$ LIBRARIES=  "-L{root}/bin/..//lib64/stubs" "-L{root}/bin/..//lib64"';;
esac
""",
    )
    nvcc.chmod(0o755)
    return root


@pytest.fixture(autouse=True)
def _no_system_folders(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if "real_environment" not in request.fixturenames:
        monkeypatch.setattr(cuda, "SYSTEM_FOLDERS", {"linux": (str(tmp_path / "usr-local"),)})


def machine(tmp_path: Path, **variables: str) -> Environment:
    """A machine with nothing but a shell; its Python's packages lie in ``tmp_path/site``."""
    python = PythonTarget(tmp_path / "python", search_path=(tmp_path / "site",))
    return Environment({"PATH": str(tmp_path / "bin"), **variables}, tmp_path, "linux", "x86_64", python)


# The search.


def test_what_nvcc_tells_about_its_toolkit(tmp_path: Path) -> None:
    root = make_toolkit(tmp_path / "cuda")
    found = find_cuda_toolkit("cuda", machine(tmp_path))
    assert (found.root, found.nvcc, found.version, found.release, found.major) == (
        root,
        root / "bin" / "nvcc",
        "13.0.88",
        "13.0",
        13,
    )
    assert found.include_dirs == (root / "include",)
    assert found.library_dirs == (root / "lib64",)
    assert found.architectures == tuple(sorted(ARCHITECTURES_13.split(), key=int))
    assert (found.highest_gcc, found.highest_clang, found.found_by) == (15, 20, "asked for")
    assert found.witnesses["host_compilers"] == str(root / "include" / "crt" / "host_config.h")


def test_a_script_around_nvcc_leads_to_the_real_toolkit(tmp_path: Path) -> None:
    root = make_toolkit(tmp_path / "opt" / "cuda-13.0")
    wrapper = write(tmp_path / "bin" / "nvcc", f'#!/bin/sh\nexec {root}/bin/nvcc "$@"\n')
    wrapper.chmod(0o755)
    found = find_cuda_toolkit(None, machine(tmp_path))
    assert (found.root, found.nvcc, found.found_by) == (root, wrapper, "PATH")


@pytest.mark.parametrize("variable", ["CUDA_HOME", "CUDA_PATH", "CUDAToolkit_ROOT", "CUDACXX"])
def test_a_variable_is_used_or_refused(tmp_path: Path, variable: str) -> None:
    named = make_toolkit(tmp_path / "named", "12.4.99")
    make_toolkit(tmp_path, program="bin/nvcc")  # on PATH, and it would fit
    value = str(named / "bin" / "nvcc") if variable == "CUDACXX" else str(named)
    found = find_cuda_toolkit(None, machine(tmp_path, **{variable: value}), series="13.0")
    assert (found.root, found.found_by) == (named, variable)
    with pytest.raises(ToolNotFoundError) as caught:
        find_cuda_toolkit(None, machine(tmp_path, **{variable: str(tmp_path / "gone")}))
    assert str(caught.value) == (
        f"no CUDA toolkit in what {variable} names: {tmp_path}/gone: does not exist\n"
        "  do one of these:\n"
        "    - name a folder with bin/nvcc, such as /usr/local/cuda\n"
        "    - leave it away, so that the usual places are searched"
    )


def test_the_order_of_the_places(tmp_path: Path) -> None:
    environment = machine(
        tmp_path,
        CUDA_HOME=str(make_toolkit(tmp_path / "a")),
        CUDA_PATH=str(make_toolkit(tmp_path / "b")),
        CUDAToolkit_ROOT=str(make_toolkit(tmp_path / "c")),
        CUDACXX=str(make_toolkit(tmp_path / "d") / "bin" / "nvcc"),
        CONDA_PREFIX=str(make_toolkit(tmp_path / "conda")),
    )
    make_toolkit(tmp_path / "e", program="../bin/nvcc")
    make_toolkit(tmp_path / "site" / "nvidia" / "cu13")
    make_toolkit(tmp_path / "usr-local" / "cuda-12.9", "12.9.1")
    make_toolkit(tmp_path / "usr-local" / "cuda-13.2", "13.2.1")
    asked = make_toolkit(tmp_path / "asked")
    seen = [find_cuda_toolkit(asked, environment).found_by]
    for name in ("CUDA_HOME", "CUDA_PATH", "CUDAToolkit_ROOT", "CUDACXX"):
        seen.append(find_cuda_toolkit(None, environment).found_by)
        environment = environment.with_variables(**{name: None})
    seen.append(find_cuda_toolkit(None, environment).found_by)
    (tmp_path / "bin" / "nvcc").unlink()
    seen.append(find_cuda_toolkit(None, environment).found_by)
    shutil.rmtree(tmp_path / "site")
    seen.append(find_cuda_toolkit(None, environment).found_by)
    last = find_cuda_toolkit(None, environment.with_variables(CONDA_PREFIX=None))
    assert [*seen, last.found_by] == [
        "asked for",
        "CUDA_HOME",
        "CUDA_PATH",
        "CUDAToolkit_ROOT",
        "CUDACXX",
        "PATH",
        "nvidia-* wheels",
        "CONDA_PREFIX",
        "system folders",
    ]
    assert last.version == "13.2.1"


def test_one_of_another_major_version_is_passed_over(tmp_path: Path) -> None:
    make_toolkit(tmp_path, "12.9.86")
    root = make_toolkit(tmp_path / "usr-local" / "cuda-13.0")
    toolkit, trace = locate_cuda_toolkit(None, machine(tmp_path), series="13.0")
    assert toolkit is not None
    assert toolkit.root == root
    assert ("PATH", f"{tmp_path}: CUDA 12.9, libtorch wants 13.x") in trace


def test_the_error_says_where_we_looked_and_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ToolNotFoundError) as caught:
        find_cuda_toolkit(None, machine(tmp_path), series="13.0")
    assert str(caught.value) == (
        "no CUDA toolkit found (wanted 13.x, as libtorch); sources in CUDA need its compiler nvcc\n"
        "  looked in:\n"
        "    CUDA_HOME             not set\n"
        "    CUDA_PATH             not set\n"
        "    CUDAToolkit_ROOT      not set\n"
        "    CUDACXX               not set\n"
        "    conda build prefixes  not a conda build\n"
        "    PATH                  no nvcc\n"
        "    nvidia-* wheels       not installed\n"
        "    CONDA_PREFIX          not set\n"
        f"    system folders        none in {tmp_path}/usr-local\n"
        "  do one of these:\n"
        "    - pip install 'nvidia-cuda-nvcc==13.0.*' 'nvidia-cuda-cccl==13.0.*'\n"
        "    - apt install cuda-toolkit-13-0\n"
        "    - set CUDA_HOME to the folder of a CUDA 13 toolkit"
    )


def test_wheels_of_cuda_12_have_no_nvcc(tmp_path: Path) -> None:
    write(tmp_path / "site" / "nvidia" / "cuda_nvcc" / "bin" / "ptxas")
    _, trace = locate_cuda_toolkit(None, machine(tmp_path), series="12.8")
    assert dict(trace)["nvidia-* wheels"].endswith(
        "has ptxas but no nvcc (the wheels nvidia-cuda-nvcc-cu11 and -cu12 have none)"
    )


def test_a_conda_build_takes_what_is_in_its_prefixes_or_nothing(tmp_path: Path) -> None:
    make_toolkit(tmp_path)  # the build machine's, on PATH
    make_toolkit(tmp_path / "usr-local" / "cuda")
    prefix = tmp_path / "build_env"
    variables = {"CONDA_BUILD": "1", "BUILD_PREFIX": str(prefix), "PREFIX": str(tmp_path / "host_env")}
    with pytest.raises(ToolNotFoundError, match="not searched in a conda build"):
        find_cuda_toolkit(None, machine(tmp_path, **variables))
    make_toolkit(prefix)
    assert find_cuda_toolkit(None, machine(tmp_path, **variables)).found_by == "conda build prefixes"
    targets = write(prefix / "targets" / "x86_64-linux" / "include" / "cuda.h").parents[1]
    named = find_cuda_toolkit(None, machine(tmp_path, CUDA_HOME=str(targets)))
    assert named.nvcc == prefix / "bin" / "nvcc"


def test_an_nvcc_that_does_not_run_is_no_toolkit(tmp_path: Path) -> None:
    write(tmp_path / "cuda" / "bin" / "nvcc", "#!/bin/sh\nexit 1\n").chmod(0o755)
    assert read_toolkit(tmp_path / "cuda", machine(tmp_path)) == f"{tmp_path}/cuda/bin/nvcc: does not run"


def test_cudacxx_may_have_a_launcher(tmp_path: Path) -> None:
    root = make_toolkit(tmp_path / "cuda")
    environment = machine(tmp_path, CUDACXX=f"ccache {root}/bin/nvcc")
    assert find_cuda_toolkit(None, environment).root == root


def test_an_old_nvcc_is_known_by_the_table(tmp_path: Path) -> None:
    root = make_toolkit(tmp_path / "cuda", "10.2.89", architectures="", headers=())
    found = find_cuda_toolkit(root, machine(tmp_path))
    assert (found.architectures[0], found.architectures[-1]) == ("30", "75")
    assert (found.highest_gcc, found.highest_clang) == (8, 8)
    assert found.witnesses["architectures"] == found.witnesses["host_compilers"] == "table of CUDA releases"


def test_the_table_of_host_compilers() -> None:
    releases = [row.release for row in HOST_COMPILERS]
    assert releases == sorted(set(releases))
    assert [row and (row.gcc, row.clang) for row in map(host_compilers, [(11, 8), (12, 6), (13, 0, 88)])] == [
        (11, 14),
        (13, 17),
        (15, 20),
    ]
    assert host_compilers((13, 1)) is None  # nothing is known of what comes
    assert parse_host_config(HOST_CONFIG) == (15, 20)
    assert parse_host_config("") == (None, None)


def test_the_dry_run_without_a_host_compiler_tells_nothing() -> None:
    assert parse_dryrun("gcc: No such file or directory\nnvcc fatal   : Failed to preprocess\n").top is None


# Does it suit?


def toolkit(**changes: object) -> CudaToolkit:
    known = tuple(sorted(ARCHITECTURES_13.split(), key=int))
    made = CudaToolkit(Path("/cuda"), Path("/cuda/bin/nvcc"), "13.0.88", (), (), known, "PATH", 15, 20)
    return replace(made, **changes)  # type: ignore[arg-type]


GCC = CxxCompiler(("g++",), "GNU", "12.2.0", "PATH")


def test_a_toolkit_that_suits() -> None:
    assert check_toolkit(toolkit(), LIBTORCH, GCC, Headers((), ())) == ()
    assert check_toolkit(toolkit(version="13.2.1"), LIBTORCH, None) == (
        "CUDA 13.2 in /cuda (found by PATH), libtorch was built with 13.0: minor versions may differ",
    )


def test_every_problem_at_once() -> None:
    compiler = CxxCompiler(("g++-15",), "GNU", "15.1.0", "CXX")
    old = toolkit(version="12.8.93", highest_gcc=14, witnesses={"host_compilers": "table of CUDA releases"})
    missing = tuple(h for h in TORCH_HEADERS if h.name in ("cusparse.h", "cublas_v2.h", "cublasLt.h"))
    with pytest.raises(ToolNotFoundError) as caught:
        check_toolkit(old, LIBTORCH, compiler, Headers((), missing))
    assert str(caught.value) == (
        "CUDA 12.8 in /cuda (found by PATH) does not suit libtorch 2.13.0+cu130, which was built with CUDA 13.0: "
        "the major versions must be the same\n"
        "nvcc 12.8 takes GCC up to 14 as its host compiler; g++-15 is 15.1.0 (says table of CUDA releases)\n"
        "cusparse.h, which torch's headers include, is neither in /cuda nor beside libtorch\n"
        "cublas_v2.h, which torch's headers include, is neither in /cuda nor beside libtorch\n"
        "cublasLt.h, which torch's headers include, is neither in /cuda nor beside libtorch\n"
        "  do one of these:\n"
        "    - install a CUDA 13 toolkit and set CUDA_HOME to it\n"
        "    - use a libtorch for CUDA 12 (--cuda 12), which torchscript-build fetch VERSION --cuda cu128 can get\n"
        "    - install GCC 14 and set CUDAHOSTCXX=g++-14\n"
        "    - use a newer CUDA toolkit of the same major version\n"
        "    - pip install nvidia-cusparse-cu12 nvidia-cublas-cu12\n"
        "    - conda install -c conda-forge libcusparse-dev libcublas-dev\n"
        "    - install the whole CUDA toolkit"
    )


def test_a_libtorch_without_cuda_cannot_have_cuda_sources() -> None:
    with pytest.raises(ToolNotFoundError, match="was built without CUDA"):
        check_toolkit(toolkit(), replace(LIBTORCH, backend="cpu", cuda_version=None), None)


def test_clang_has_its_own_limit_and_an_unknown_one_passes() -> None:
    with pytest.raises(ToolNotFoundError, match="takes Clang up to 20"):
        check_toolkit(toolkit(), LIBTORCH, CxxCompiler(("clang++",), "Clang", "21.0.0", "CXX"))
    newest = toolkit(version="14.0.1", highest_gcc=None, highest_clang=None)
    assert check_toolkit(newest, replace(LIBTORCH, cuda_version="14.0"), CxxCompiler(("g++",), "GNU", "30.1", "")) == ()


# Architectures.


def plan(tmp_path: Path, asked: str | None = None, **variables: str) -> tuple[str, ...]:
    return plan_architectures(asked, machine(tmp_path, **variables), LIBTORCH, toolkit()).cmake


def test_by_default_those_of_libtorch(tmp_path: Path) -> None:
    assert plan(tmp_path) == ("75-real", "80-real", "86-real", "90-real", "100-real", "120-real")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8.0", ("80-real",)),
        ("8.0;9.0+PTX", ("80-real", "90")),
        ("9.0+PTX 8.0", ("80-real", "90")),
        ("8.6,8.6+PTX", ("86",)),
        ("9.0a;10.0f", ("90a-real", "100f-real")),
        ("Ampere", ("80-real", "86")),
        ("turing;ampere+tegra", ("75", "87-real")),
        ("Hopper+PTX", ("90",)),
        ("native", ("native",)),
        ("all-major", ("75-real", "80-real", "90-real", "100-real", "110-real", "120")),
    ],
)
def test_what_is_asked_for(tmp_path: Path, text: str, expected: tuple[str, ...]) -> None:
    assert plan(tmp_path, text) == expected
    assert plan(tmp_path, TORCH_CUDA_ARCH_LIST=text) == expected


def test_all_is_everything_that_nvcc_knows(tmp_path: Path) -> None:
    everything = plan(tmp_path, "all")
    assert (len(everything), everything[0], everything[-1]) == (12, "75-real", "121")


def test_the_environment_wins_over_the_setting(tmp_path: Path) -> None:
    decided = plan_architectures("8.0", machine(tmp_path, TORCH_CUDA_ARCH_LIST="9.0"), LIBTORCH, toolkit())
    assert (decided.cmake, decided.source) == (("90-real",), "TORCH_CUDA_ARCH_LIST")


def test_what_nvcc_does_not_know_is_an_error_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        plan(tmp_path, TORCH_CUDA_ARCH_LIST="3.5;8.0;9.1;13.0")
    assert caught.value.problems == (
        "TORCH_CUDA_ARCH_LIST: nvcc 13.0 dropped 3.5; it knows 7.5 to 12.1, the nearest is 7.5",
        "TORCH_CUDA_ARCH_LIST: nvcc 13.0 does not know 9.1; it knows 7.5 to 12.1, the nearest is 9.0",
        "TORCH_CUDA_ARCH_LIST: nvcc 13.0 does not know 13.0 yet; it knows 7.5 to 12.1, the nearest is 12.1",
    )


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("86", "'86' is no compute capability .*; did you mean 8.6?"),
        ("sm_90a", "did you mean 9.0a?"),
        ("120-real", "did you mean 12.0?"),
        ("Amper", "did you mean 'Ampere'?"),
        ("8.0;native", "'native' is no compute capability .*; it stands alone"),
        (";", "names no architecture"),
    ],
)
def test_what_means_nothing_is_refused(tmp_path: Path, text: str, hint: str) -> None:
    with pytest.raises(SettingsError, match=hint.replace("?", r"\?")):
        plan(tmp_path, text)


def test_of_libtorchs_own_what_nvcc_dropped_is_left_out(tmp_path: Path) -> None:
    old = replace(LIBTORCH, cuda_architectures=("37", "50", "80", "90+PTX"))
    decided = plan_architectures(None, machine(tmp_path), old, toolkit())
    assert decided.cmake == ("80-real", "90-virtual")
    assert decided.notes == ("left out of libtorch's architectures, because nvcc 13.0 does not know them: 3.7, 5.0",)


def test_an_nvcc_older_than_libtorchs_gives_ptx_for_the_newer_gpus(tmp_path: Path) -> None:
    older = toolkit(version="12.6.0", architectures=("75", "80", "86", "90"))
    decided = plan_architectures(None, machine(tmp_path), LIBTORCH, older)
    assert decided.cmake == ("75-real", "80-real", "86-real", "90")
    assert decided.notes[-1] == "9.0 is there as PTX, too, for the newer GPUs among them"


def test_nothing_left_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ToolNotFoundError, match=r"knows none of the architectures of libtorch 2.13.0\+cu130 \(3\.7\)"):
        plan_architectures(None, machine(tmp_path), replace(LIBTORCH, cuda_architectures=("37",)), toolkit())
    with pytest.raises(ToolNotFoundError, match="does not tell its CUDA architectures"):
        plan_architectures(None, machine(tmp_path), replace(LIBTORCH, cuda_architectures=()), toolkit())


def test_conda_forges_list_counts_in_a_conda_build(tmp_path: Path) -> None:
    conda = {"CONDA_BUILD": "1", "CF_TORCH_CUDA_ARCH_LIST": "8.0;9.0+PTX"}
    assert plan(tmp_path, **conda) == ("80-real", "90")
    assert plan(tmp_path, **conda, TORCH_CUDA_ARCH_LIST="8.6") == ("86-real",)
    assert plan(tmp_path, CF_TORCH_CUDA_ARCH_LIST="8.0") == plan(tmp_path)
    with pytest.raises(SettingsError, match="CF_TORCH_CUDA_ARCH_LIST: is empty in this conda build"):
        plan(tmp_path, CONDA_BUILD="1", CF_TORCH_CUDA_ARCH_LIST="")


# Parts in several folders.


def make_wheels(site: Path) -> CudaToolkit:
    """NVIDIA's wheels for CUDA 13 as pip installs them: one folder, no lib64, no libcudart.so."""
    root = make_toolkit(
        site / "nvidia" / "cu13",
        headers=("cuda_runtime_api.h", "crt/host_config.h", "cccl/thrust/complex.h"),
        libraries=("lib/libcudart.so.13", "lib/libcudart_static.a"),
    )
    write(root / "nvvm" / "bin" / "cicc")
    found = read_toolkit(root, machine(site.parent))
    assert isinstance(found, CudaToolkit)
    return found


def test_headers_of_other_wheels_complete_a_toolkit(tmp_path: Path) -> None:
    root = make_toolkit(tmp_path / "cuda", headers=("cuda_runtime_api.h", "crt/host_config.h", "cccl/thrust/complex.h"))
    found = find_cuda_toolkit(root, machine(tmp_path))
    libtorch = replace(LIBTORCH, root=tmp_path / "torch-site" / "torch")
    beside = tmp_path / "torch-site" / "nvidia" / "cu13"
    for name in ("cusparse.h", "cublas_v2.h", "cublasLt.h", "cuda_runtime_api.h"):
        write(beside / "include" / name)
    write(tmp_path / "torch-site" / "nvidia" / "cu12" / "include" / "cusolverDn.h")
    write(tmp_path / "torch-site" / "nvidia" / "cudnn" / "include" / "cudnn.h")
    parts = find_parts(found, libtorch, machine(tmp_path))
    assert parts == (beside,)
    headers = find_headers(found, parts)
    assert headers.include_dirs == (beside / "include",)
    assert [h.name for h in headers.missing] == ["cusolverDn.h"]


def test_wheels_of_cuda_12_are_parts_of_their_own_major_version(tmp_path: Path) -> None:
    nvidia = tmp_path / "site" / "nvidia"
    write(nvidia / "cuda_runtime" / "lib" / "libcudart.so.12")
    write(nvidia / "cusparse" / "include" / "cusparse.h")
    assert [p.name for p in find_parts(toolkit(version="12.4.1"), None, machine(tmp_path))] == [
        "cuda_runtime",
        "cusparse",
    ]
    assert find_parts(toolkit(), None, machine(tmp_path)) == ()


def test_the_merged_view_of_wheels(tmp_path: Path) -> None:
    wheels = make_wheels(tmp_path / "site")
    assert needs_merging(wheels)
    part = tmp_path / "other" / "nvidia" / "cu13"
    write(part / "include" / "cusparse.h")
    write(part / "include" / "crt" / "more.h")
    write(part / "include" / "cuda_runtime_api.h", "another release")
    write(part / "lib" / "libcusparse.so.12")
    write(part / "lib" / "__init__.py")
    links = plan_merged_toolkit(wheels, (part,))
    root = wheels.root
    assert links == (
        Link("bin/nvcc", root / "bin/nvcc"),
        Link("include/cccl", root / "include/cccl"),
        Link("include/crt/host_config.h", root / "include/crt/host_config.h"),
        Link("include/crt/more.h", part / "include/crt/more.h"),
        Link("include/cuda_runtime_api.h", root / "include/cuda_runtime_api.h"),
        Link("include/cusparse.h", part / "include/cusparse.h"),
        Link("lib64/libcudart.so", root / "lib/libcudart.so.13"),
        Link("lib64/libcudart.so.13", root / "lib/libcudart.so.13"),
        Link("lib64/libcudart_static.a", root / "lib/libcudart_static.a"),
        Link("lib64/libcusparse.so", part / "lib/libcusparse.so.12"),
        Link("lib64/libcusparse.so.12", part / "lib/libcusparse.so.12"),
        Link("nvvm", root / "nvvm"),
    )


def test_the_merged_view_is_written_once_and_follows_the_plan(tmp_path: Path) -> None:
    wheels = make_wheels(tmp_path / "site")
    links = plan_merged_toolkit(wheels)
    folder = tmp_path / "build" / "cuda"
    assert write_merged_toolkit(links, folder)
    assert not write_merged_toolkit(links, folder)
    assert (folder / "lib" / "libcudart.so").read_bytes() == b""
    assert (folder / "nvvm" / "bin" / "cicc").is_file()
    assert write_merged_toolkit(links[:1], folder)
    assert sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_symlink()) == ["bin/nvcc", "lib"]
    assert wheels.nvcc.is_file()


# The real nvcc.


@pytest.fixture
def real_environment(tmp_path: Path) -> Environment:
    for program in ("nvcc", "cmake"):
        if shutil.which(program) is None:
            pytest.skip(f"no {program} on PATH")
    return Environment(clean_variables(), tmp_path, "linux", "x86_64", PythonTarget.current())


@pytest.mark.cuda
def test_the_real_toolkit(real_environment: Environment) -> None:
    found = find_cuda_toolkit(None, real_environment)
    assert (found.root / "bin" / "nvcc").is_file()
    assert any((f / "cuda_runtime.h").is_file() for f in found.include_dirs)
    assert "90" in found.architectures
    assert found.highest_gcc is not None
    assert not needs_merging(found)


KERNEL = """\
#include <cuda_runtime.h>
__global__ void twice(float* x) { x[threadIdx.x] *= 2; }
int main() { float* x = nullptr; twice<<<1, 1>>>(x); return 0; }
"""


@pytest.mark.slow
@pytest.mark.cuda
@pytest.mark.compile
def test_the_real_nvcc_takes_the_planned_architectures_and_flags(real_environment: Environment, tmp_path: Path) -> None:
    found = find_cuda_toolkit(None, real_environment)
    write(tmp_path / "CMakeLists.txt", CMAKE)
    write(tmp_path / "k.cu", KERNEL)
    libtorch = replace(LIBTORCH, cuda_architectures=("80", "90"))
    decided = plan_architectures(None, real_environment, libtorch, found).cmake
    merged = tmp_path / "cuda"
    write_merged_toolkit(plan_merged_toolkit(found), merged)
    configure = [
        "cmake",
        "-S.",
        "-Bbuild",
        f"-DCMAKE_CUDA_COMPILER={merged}/bin/nvcc",
        f"-DCUDAToolkit_ROOT={merged}",
        f"-DCMAKE_CUDA_ARCHITECTURES={';'.join(decided)}",
        f"-DCMAKE_CUDA_FLAGS={' '.join(f.text for f in NVCC_FLAGS)}",
    ]
    for command in (configure, ["cmake", "--build", "build"]):
        done = run_child(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    assert os.access(tmp_path / "build" / "k", os.X_OK)


CMAKE = """\
cmake_minimum_required(VERSION 3.18)
project(k LANGUAGES CXX CUDA)
find_package(CUDAToolkit REQUIRED)
add_executable(k k.cu)
target_link_libraries(k PRIVATE CUDA::cudart)
"""
