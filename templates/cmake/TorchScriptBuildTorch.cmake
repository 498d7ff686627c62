# Targets and variables of the package Torch, from the facts that TorchConfig.cmake has set.
#
# Defines what the stock package defines, without asking for CUDA, cuDNN, MKL, kineto or nvToolsExt (see the table in
# tests/generate/test_stock_names.py).

foreach(_ts_file IN LISTS _ts_torch_include_dirs _ts_torch_main_library _ts_torch_libraries)
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

  # With the file, for $<TARGET_FILE:torch>. The stock package has the pair "torch" and "torch_library" (torch_cpu and
  # torch_cpu_library, …); here the second is the first by another name.
  add_library(torch SHARED IMPORTED)
  set_property(TARGET torch PROPERTY IMPORTED_LOCATION "${_ts_torch_main_library}")
  if(WIN32)
    set_property(TARGET torch PROPERTY IMPORTED_IMPLIB "${_ts_torch_main_library}")
  endif()
  set_property(TARGET torch PROPERTY INTERFACE_INCLUDE_DIRECTORIES "${_ts_torch_include_dirs}")
  set_property(TARGET torch PROPERTY INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${_ts_torch_include_dirs}")
  set_property(TARGET torch PROPERTY INTERFACE_COMPILE_OPTIONS "${_ts_torch_compile_options}")
  set_property(TARGET torch PROPERTY INTERFACE_COMPILE_FEATURES "cxx_std_${_ts_torch_cxx_standard}")
  if(NOT _ts_torch_abi_flag STREQUAL "")
    set_property(TARGET torch PROPERTY INTERFACE_COMPILE_DEFINITIONS "_GLIBCXX_USE_CXX11_ABI=${_ts_torch_abi_flag}")
  endif()
  set_property(TARGET torch PROPERTY INTERFACE_LINK_LIBRARIES "${_ts_torch_kept_libraries}"
                                     "${_ts_torch_optional_libraries}" "${_ts_torch_libraries}")
  set_property(TARGET torch PROPERTY INTERFACE_LINK_OPTIONS "${_ts_torch_link_options}")
  if(CMAKE_PROJECT_NAME STREQUAL "MesonTemp")
    # The probe behind Meson's dependency(method: 'cmake'), which reads this target's properties: no compile features,
    # nothing of a generator, and of libraries only files.
    set_property(TARGET torch PROPERTY INTERFACE_COMPILE_OPTIONS "${_ts_torch_standard_option}")
    set_property(TARGET torch PROPERTY INTERFACE_LINK_LIBRARIES "${_ts_torch_libraries}")
    set_property(TARGET torch PROPERTY INTERFACE_LINK_OPTIONS "${_ts_torch_link_words}")
  endif()
  foreach(_ts_name IN ITEMS torch torch_cpu torch_cuda torch_cuda_cpp torch_cuda_cu)
    if(TARGET ${_ts_name})
      add_library(${_ts_name}_library INTERFACE IMPORTED)
      set_property(TARGET ${_ts_name}_library PROPERTY INTERFACE_LINK_LIBRARIES ${_ts_name})
    endif()
  endforeach()
endif()

set(TORCH_FOUND TRUE)
set(TORCHSCRIPT_BUILD_FOUND
    TRUE
    CACHE INTERNAL "this package, and no other, was found")
set(TORCH_INSTALL_PREFIX "${_ts_torch_prefix}")
set(TORCH_VERSION "${_ts_torch_version}")
set(TORCH_CXX_STANDARD "${_ts_torch_cxx_standard}")
set(TORCH_INCLUDE_DIRS "${_ts_torch_include_dirs}")
set(TORCH_HEADER_ROOT "${_ts_torch_header_root}")
set(TORCH_LIBRARIES torch torch_library)
set(TORCH_LIBRARY_DIR "${_ts_torch_library_dir}")
set(TORCH_CUDA_LIBRARIES "${_ts_torch_cuda_libraries}")
set(TORCH_PYTHON_LIBRARY "${_ts_torch_python_library}")
set(TORCH_LIBRARY "${_ts_torch_main_library}")
# Each file by the name that the stock package finds it by.
foreach(_ts_file IN LISTS _ts_torch_main_library _ts_torch_libraries _ts_torch_cuda_libraries)
  get_filename_component(_ts_name "${_ts_file}" NAME_WE)
  string(REGEX REPLACE "^lib" "" _ts_name "${_ts_name}")
  set(${_ts_name}_LIBRARY "${_ts_file}")
endforeach()
if(DEFINED c10_cuda_LIBRARY)
  set(C10_CUDA_LIBRARY "${c10_cuda_LIBRARY}")
endif()
set(Caffe2_FOUND TRUE)
set(Caffe2_MAIN_LIBS torch_library)
set(CAFFE2_INCLUDE_DIRS "${_ts_torch_include_dirs}")
if(_ts_torch_abi_flag STREQUAL "")
  set(TORCH_CXX_FLAGS "")
else()
  set(TORCH_CXX_FLAGS "-D_GLIBCXX_USE_CXX11_ABI=${_ts_torch_abi_flag}")
endif()
if(NOT _ts_torch_cuda_version STREQUAL "")
  set(TORCH_CUDA_VERSION "${_ts_torch_cuda_version}")
endif()

# append_torchlib_if_found(name…): libraries that lie beside libtorch, for TORCH_LIBRARIES; torch_python mostly. The stock
# package's own macro, which projects have come to use.
macro(append_torchlib_if_found)
  foreach(_ts_name ${ARGN})
    find_library(
      ${_ts_name}_LIBRARY ${_ts_name}
      PATHS "${TORCH_LIBRARY_DIR}"
      NO_DEFAULT_PATH)
    if(${_ts_name}_LIBRARY)
      list(APPEND TORCH_LIBRARIES "${${_ts_name}_LIBRARY}")
    else()
      message(WARNING "append_torchlib_if_found: there is no ${_ts_name} in ${TORCH_LIBRARY_DIR}")
    endif()
  endforeach()
  unset(_ts_name)
endmacro()
macro(append_wholearchive_lib_if_found)
  append_torchlib_if_found(${ARGN})
endmacro()

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
        main_library
        libraries
        kept_libraries
        optional_libraries
        cuda_libraries
        python_library
        cuda_version
        link_options
        link_words
        standard_option)
  unset(_ts_torch_${_ts_name})
endforeach()
unset(_ts_name)
unset(_ts_file)
