# The facts about one libtorch, as torchscript-build read them from its files. All logic is in TorchScriptBuildTorch.cmake.
set(_ts_torch_prefix "/venv/lib/python3.11/site-packages/torch")
set(_ts_torch_version "2.13.0")
set(_ts_torch_description "2.13.0 (CPU, new C++ ABI)")
set(_ts_torch_cxx_standard "20")
set(_ts_torch_abi_flag "1")
set(_ts_torch_include_dirs "/venv/lib/python3.11/site-packages/torch/include" "/venv/lib/python3.11/site-packages/torch/include/torch/csrc/api/include")
# The folder that they are below: libtorch, or a link to it.
set(_ts_torch_header_root "/venv/lib/python3.11/site-packages/torch")
set(_ts_torch_compile_options "")
set(_ts_torch_library_dir "/venv/lib/python3.11/site-packages/torch/lib")
# libtorch itself, the target torch.
set(_ts_torch_main_library "/venv/lib/python3.11/site-packages/torch/lib/libtorch.so")
# Linked as they are.
set(_ts_torch_libraries "/venv/lib/python3.11/site-packages/torch/lib/libtorch_cpu.so" "/venv/lib/python3.11/site-packages/torch/lib/libc10.so")
# Linked even though nothing refers to it: it brings the kernels of the installed torch. One linker argument.
set(_ts_torch_kept_libraries "-Wl,--push-state,--no-as-needed /venv/lib/python3.11/site-packages/torch/lib/libtorch.so -Wl,--pop-state")
# Linked where something refers to them: a CPU build of the same torch lacks them. One linker argument.
set(_ts_torch_optional_libraries "")
set(_ts_torch_cuda_libraries "")
set(_ts_torch_python_library "/venv/lib/python3.11/site-packages/torch/lib/libtorch_python.so")
set(_ts_torch_cuda_version "")
set(_ts_torch_link_options "")
# The same and what is kept or optional, for a build tool that takes words.
set(_ts_torch_link_words "-L/venv/lib/python3.11/site-packages/torch/lib" "-Wl,--push-state,--no-as-needed,-ltorch,--pop-state")
set(_ts_torch_standard_option "-std=c++20")
set(_ts_torch_library_names "torch_cpu" "c10" "torch_python")
include("${CMAKE_CURRENT_LIST_DIR}/TorchScriptBuildTorch.cmake")
