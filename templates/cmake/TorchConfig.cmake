# The facts about one libtorch, as torchscript-build read them from its files. All logic is in TorchScriptBuildTorch.cmake.
set(_ts_torch_prefix {{ prefix }})
set(_ts_torch_version {{ version }})
set(_ts_torch_description {{ description }})
set(_ts_torch_cxx_standard {{ cxx_standard }})
set(_ts_torch_abi_flag {{ abi_flag }})
set(_ts_torch_include_dirs {{ include_dirs }})
# The folder that they are below: libtorch, or a link to it.
set(_ts_torch_header_root {{ header_root }})
set(_ts_torch_compile_options {{ compile_options }})
set(_ts_torch_library_dir {{ library_dir }})
# libtorch itself, the target torch.
set(_ts_torch_main_library {{ main_library }})
# Linked as they are.
set(_ts_torch_libraries {{ libraries }})
# Linked even though nothing refers to it: it brings the kernels of the installed torch. One linker argument.
set(_ts_torch_kept_libraries {{ kept_libraries }})
# Linked where something refers to them: a CPU build of the same torch lacks them. One linker argument.
set(_ts_torch_optional_libraries {{ optional_libraries }})
set(_ts_torch_cuda_libraries {{ cuda_libraries }})
set(_ts_torch_python_library {{ python_library }})
set(_ts_torch_cuda_version {{ cuda_version }})
set(_ts_torch_link_options {{ link_options }})
# The same and what is kept or optional, for a build tool that takes words.
set(_ts_torch_link_words {{ link_words }})
set(_ts_torch_standard_option {{ standard_option }})
set(_ts_torch_library_names {{ library_names }})
include("${CMAKE_CURRENT_LIST_DIR}/TorchScriptBuildTorch.cmake")
