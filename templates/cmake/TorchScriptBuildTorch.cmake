# Targets and variables of the package Torch, from the facts that TorchConfig.cmake has set.
#
# Defines what the stock package defines, without asking for CUDA, cuDNN, MKL, kineto or nvToolsExt: targets    torch,
# torch_library, torch_cpu, c10, and torch_cuda, c10_cuda, torch_python where they are variables  TORCH_LIBRARIES
# TORCH_INCLUDE_DIRS TORCH_CXX_FLAGS TORCH_INSTALL_PREFIX TORCH_CUDA_LIBRARIES TORCH_VERSION TORCH_CXX_STANDARD
# TORCH_LIBRARY_DIR TORCH_HEADER_ROOT TORCH_PYTHON_LIBRARY

foreach(_ts_file IN LISTS _ts_torch_include_dirs _ts_torch_libraries)
  if(NOT EXISTS "${_ts_file}")
    set(Torch_FOUND FALSE)
    set(Torch_NOT_FOUND_MESSAGE "libtorch has moved since this package was written: ${_ts_file} is not there any more")
    return()
  endif()
endforeach()

include("${CMAKE_CURRENT_LIST_DIR}/TorchScriptBuildFound.cmake")
if(_ts_torch_refusal)
  set(Torch_FOUND FALSE)
  set(Torch_NOT_FOUND_MESSAGE "${_ts_torch_refusal}")
  return()
endif()
include("${CMAKE_CURRENT_LIST_DIR}/TorchScriptBuildInstall.cmake")

if(NOT TARGET torch)
  # Each library by its own name, for projects that link c10 or torch_cpu directly.
  foreach(_ts_file IN LISTS _ts_torch_libraries _ts_torch_cuda_libraries _ts_torch_python_library)
    get_filename_component(_ts_name "${_ts_file}" NAME_WE)
    string(REGEX REPLACE "^lib" "" _ts_name "${_ts_name}")
    if(_ts_name STREQUAL "torch" OR TARGET ${_ts_name})
      continue()
    endif()
    add_library(${_ts_name} UNKNOWN IMPORTED)
    set_target_properties(${_ts_name} PROPERTIES IMPORTED_LOCATION "${_ts_file}" INTERFACE_INCLUDE_DIRECTORIES
                                                                                 "${_ts_torch_include_dirs}")
  endforeach()

  # The stock package has the pair "torch" and "torch_library"; here the second is the first by another name.
  add_library(torch INTERFACE IMPORTED)
  set_property(TARGET torch PROPERTY INTERFACE_INCLUDE_DIRECTORIES "${_ts_torch_include_dirs}")
  set_property(TARGET torch PROPERTY INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${_ts_torch_include_dirs}")
  set_property(TARGET torch PROPERTY INTERFACE_COMPILE_OPTIONS "${_ts_torch_compile_options}")
  set_property(TARGET torch PROPERTY INTERFACE_COMPILE_FEATURES "cxx_std_${_ts_torch_cxx_standard}")
  if(NOT _ts_torch_abi_flag STREQUAL "")
    set_property(TARGET torch PROPERTY INTERFACE_COMPILE_DEFINITIONS "_GLIBCXX_USE_CXX11_ABI=${_ts_torch_abi_flag}")
  endif()
  set_property(TARGET torch PROPERTY INTERFACE_LINK_LIBRARIES "${_ts_torch_kept_libraries}" "${_ts_torch_libraries}")
  set_property(TARGET torch PROPERTY INTERFACE_LINK_OPTIONS "${_ts_torch_link_options}")
  add_library(torch_library INTERFACE IMPORTED)
  set_property(TARGET torch_library PROPERTY INTERFACE_LINK_LIBRARIES torch)
endif()

set(TORCH_FOUND TRUE)
set(TORCH_INSTALL_PREFIX "${_ts_torch_prefix}")
set(TORCH_VERSION "${_ts_torch_version}")
set(TORCH_CXX_STANDARD "${_ts_torch_cxx_standard}")
set(TORCH_INCLUDE_DIRS "${_ts_torch_include_dirs}")
set(TORCH_HEADER_ROOT "${_ts_torch_header_root}")
set(TORCH_LIBRARIES torch torch_library)
set(TORCH_LIBRARY_DIR "${_ts_torch_library_dir}")
set(TORCH_CUDA_LIBRARIES "${_ts_torch_cuda_libraries}")
set(TORCH_PYTHON_LIBRARY "${_ts_torch_python_library}")
if(_ts_torch_abi_flag STREQUAL "")
  set(TORCH_CXX_FLAGS "")
else()
  set(TORCH_CXX_FLAGS "-D_GLIBCXX_USE_CXX11_ABI=${_ts_torch_abi_flag}")
endif()
if(NOT _ts_torch_cuda_version STREQUAL "")
  set(TORCH_CUDA_VERSION "${_ts_torch_cuda_version}")
endif()

foreach(
  _ts_name IN
  ITEMS prefix
        version
        description
        library_names
        refusal
        cxx_standard
        abi_flag
        include_dirs
        header_root
        compile_options
        library_dir
        libraries
        kept_libraries
        cuda_libraries
        python_library
        cuda_version
        link_options)
  unset(_ts_torch_${_ts_name})
endforeach()
unset(_ts_name)
unset(_ts_file)
