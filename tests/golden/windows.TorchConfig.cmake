# The facts about one libtorch, as torchscript-build read them from its files. All logic is in TorchScriptBuildTorch.cmake.
set(_ts_torch_prefix "C:/venv/Lib/site-packages/torch")
set(_ts_torch_version "2.13.0")
set(_ts_torch_description "2.13.0 (CUDA 13.0)")
set(_ts_torch_cxx_standard "20")
set(_ts_torch_abi_flag "")
set(_ts_torch_include_dirs "C:/venv/Lib/site-packages/torch/include")
# The folder that they are below: libtorch, or a link to it.
set(_ts_torch_header_root "C:/venv/Lib/site-packages/torch")
set(_ts_torch_compile_options "")
set(_ts_torch_library_dir "C:/venv/Lib/site-packages/torch/lib")
# libtorch itself, the target torch.
set(_ts_torch_main_library "C:/venv/Lib/site-packages/torch/lib/torch.lib")
# Linked as they are.
set(_ts_torch_libraries "C:/venv/Lib/site-packages/torch/lib/torch_cuda.lib" "C:/venv/Lib/site-packages/torch/lib/torch_cpu.lib" "C:/venv/Lib/site-packages/torch/lib/c10_cuda.lib" "C:/venv/Lib/site-packages/torch/lib/c10.lib")
# Linked even though nothing refers to it: it brings the kernels of the installed torch. One linker argument.
set(_ts_torch_kept_libraries "")
# Linked where something refers to them: a CPU build of the same torch lacks them. One linker argument.
set(_ts_torch_optional_libraries "")
set(_ts_torch_cuda_libraries "C:/venv/Lib/site-packages/torch/lib/torch_cuda.lib" "C:/venv/Lib/site-packages/torch/lib/c10_cuda.lib")
set(_ts_torch_python_library "C:/venv/Lib/site-packages/torch/lib/torch_python.lib")
set(_ts_torch_cuda_version "13.0")
set(_ts_torch_link_options "LINKER:/INCLUDE:?warp_size@cuda@at@@YAHXZ")
# The same and what is kept or optional, for a build tool that takes words.
set(_ts_torch_link_words "/INCLUDE:?warp_size@cuda@at@@YAHXZ")
set(_ts_torch_standard_option "/std:c++20")
set(_ts_torch_library_names "torch_cuda" "torch_cpu" "c10_cuda" "c10" "torch_python")
include("${CMAKE_CURRENT_LIST_DIR}/TorchScriptBuildTorch.cmake")
