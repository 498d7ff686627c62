# The functions that the generated CMakeLists.txt calls. All values arrive as keyword arguments.
#
# Common to ts_add_ops and ts_add_app:
#   NAME name SOURCES file… FILE_NAME name
#   OUTPUT_DIR dir          where it lies in the build tree, below "out", as in the package tree
#   [DESTINATION dir]       where it is installed; without, it is built and never installed
#   [OPS target…]           operator libraries that it links, even if it refers to none of their symbols
#   [INSTALL_RPATH dir…] [INCLUDE_DIRS dir…] [LINK_LIBRARIES lib…] [LINK_DIRS dir…]
#   [DEFINITIONS def…] [DEFINITIONS_HEADER file]   the file, below this folder, for what CMake cannot pass on
#   [CUDA CUDA_FLAGS flag… CUDA_INCLUDE_DIRS dir… [SEPARABLE_COMPILATION]]   for targets with CUDA sources
#   [CUDNN dir library]     cuDNN's include directory and library
#   [KEEP_TORCH]            load all of libtorch with it: libraries that it loads later need some of these
#   [COMPILE_OPTIONS opts] [CXX_OPTIONS opts] [CUDA_OPTIONS opts] [LINK_OPTIONS opts]   one argument each: "SHELL:…", or
#                           "@file" below this folder

include("${CMAKE_CURRENT_LIST_DIR}/TorchScriptBuildHeaders.cmake")

if(POLICY CMP0174) # a keyword with an empty value is one without a value
  cmake_policy(SET CMP0174 NEW)
endif()

set(_ts_options PYTHON_MODULE RUNNER CUDA SEPARABLE_COMPILATION STATIC_CUDA_RUNTIME KEEP_TORCH)
set(_ts_single
    NAME
    FILE_NAME
    OUTPUT_DIR
    DESTINATION
    COMPONENT
    DEFINITIONS_HEADER
    COMPILE_OPTIONS
    CXX_OPTIONS
    CUDA_OPTIONS
    LINK_OPTIONS
    PYTHON_INCLUDE
    LIMITED_API
    STABLE
    PRECOMPILE)
set(_ts_multi
    SOURCES
    OPS
    INSTALL_RPATH
    INCLUDE_DIRS
    DEFINITIONS
    LINK_LIBRARIES
    LINK_DIRS
    CUDA_FLAGS
    CUDA_INCLUDE_DIRS
    CUDNN
    LEAN
    LEAN_PYTHON
    NAMED
    NAMED_IN
    WITHOUT_AUTOGRAD
    WITHOUT_FACTORIES
    WITHOUT_INTRINSICS
    WITHOUT_PROFILER
    WITHOUT_VARIABLES
    APART)

# Compiler options in one argument, for all languages or (LANGUAGE) for one.
function(_ts_add_options options language)
  if(options MATCHES "^@(.*)")
    set(options "SHELL:@\"${CMAKE_CURRENT_SOURCE_DIR}/${CMAKE_MATCH_1}\"")
  endif()
  if(language)
    string(REGEX REPLACE "^SHELL:" "" options "${options}")
    set(options "SHELL:$<$<COMPILE_LANGUAGE:${language}>:${options}>")
  endif()
  target_compile_options("${arg_NAME}" PRIVATE "${options}")
endfunction()

# Keep the folders of this machine out of __FILE__, which torch's checks put into the binary.
function(_ts_hide_paths target source_dir)
  if((CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 8)
     OR (CMAKE_CXX_COMPILER_ID MATCHES "Clang" AND CMAKE_CXX_COMPILER_VERSION VERSION_GREATER_EQUAL 10))
    set(maps "${source_dir}=." "${TORCH_HEADER_ROOT}=torch")
    if(NOT TORCH_HEADER_ROOT STREQUAL TORCH_INSTALL_PREFIX)
      # For a compiler cache; ccache makes the paths below its base folder relative to the build tree.
      file(RELATIVE_PATH source_dir "${CMAKE_BINARY_DIR}" "${source_dir}")
      file(RELATIVE_PATH header_root "${CMAKE_BINARY_DIR}" "${TORCH_HEADER_ROOT}")
      string(REGEX REPLACE "/$" "" source_dir "${source_dir}")
      list(APPEND maps "${source_dir}=." "${header_root}=torch")
    endif()
    foreach(map IN LISTS maps)
      string(REPLACE ">" "$<ANGLE-R>" map "${map}")
      target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CXX>:-fmacro-prefix-map=${map}>")
    endforeach()
  endif()
endfunction()

# GCC's garbage collection takes up to a fifth of the time that torch's headers take; without it they need 2 GB.
function(_ts_collect_less target)
  target_compile_options(
    "${target}" PRIVATE "$<$<AND:$<COMPILE_LANGUAGE:CXX>,$<CXX_COMPILER_ID:GNU>>:--param=ggc-min-heapsize=4000000>")
endfunction()

# Stop at a misspelled keyword.
function(_ts_reject_unparsed function)
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "${function}: unknown arguments: ${arg_UNPARSED_ARGUMENTS}")
  endif()
endfunction()

# Link the operator libraries in arg_OPS so that no linker drops them: models name operators, programs do not.
function(_ts_link_ops)
  if(NOT arg_OPS)
    return()
  endif()
  if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    target_link_libraries("${arg_NAME}" PRIVATE "-Wl,--push-state,--no-as-needed" ${arg_OPS} "-Wl,--pop-state")
  else()
    target_link_libraries("${arg_NAME}" PRIVATE ${arg_OPS})
  endif()
  if(APPLE)
    foreach(ops IN LISTS arg_OPS)
      target_link_options("${arg_NAME}" PRIVATE "LINKER:-needed_library,$<TARGET_FILE:${ops}>")
    endforeach()
  elseif(MSVC)
    foreach(ops IN LISTS arg_OPS)
      string(MAKE_C_IDENTIFIER "torchscript_build_keep_${ops}" symbol)
      target_link_options("${arg_NAME}" PRIVATE "LINKER:/INCLUDE:${symbol}")
    endforeach()
  endif()
endfunction()

# Before the first find_package of the project's own: the imported targets so far are none of its packages'.
function(ts_remember_targets)
  get_directory_property(targets IMPORTED_TARGETS)
  set_property(GLOBAL PROPERTY TS_IMPORTED_TARGETS "${targets}")
endfunction()

# ts_tell_unlinked(package [LINK_LIBRARIES lib…]), right after find_package: says what the package offers if the
# libraries have nothing of it. Finding it alone gives a target neither its headers nor its libraries.
function(ts_tell_unlinked package)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "LINK_LIBRARIES")
  _ts_reject_unparsed(ts_tell_unlinked)
  get_directory_property(targets IMPORTED_TARGETS) # empty before CMake 3.21
  get_property(before GLOBAL PROPERTY TS_IMPORTED_TARGETS)
  set_property(GLOBAL PROPERTY TS_IMPORTED_TARGETS "${targets}")
  list(REMOVE_ITEM targets ${before})
  string(TOUPPER "${package}" upper)
  set(offered ${targets} ${${package}_LIBRARIES} ${${package}_LIBS} ${${upper}_LIBRARIES} ${${upper}_LIBS})
  list(REMOVE_DUPLICATES offered)
  set(names ${offered})
  list(TRANSFORM names REPLACE "^.*/(lib)?([^/]+)\\.(so|a|dylib|lib)$" "\\2")
  foreach(library IN LISTS arg_LINK_LIBRARIES)
    if(library IN_LIST offered OR library IN_LIST names)
      return()
    endif()
  endforeach()
  if(offered)
    string(REPLACE ";" " " offered "${offered}")
    message(STATUS "advice: nothing of ${package} is linked; link-libraries can name of it: ${offered}")
  endif()
endfunction()

# torch's headers as of release arg_STABLE, and of its libraries the one that has the stable functions.
function(_ts_use_stable_abi)
  target_include_directories("${arg_NAME}" SYSTEM PRIVATE "$<TARGET_PROPERTY:torch,INTERFACE_INCLUDE_DIRECTORIES>")
  foreach(property IN ITEMS COMPILE_DEFINITIONS COMPILE_OPTIONS COMPILE_FEATURES LINK_OPTIONS)
    set_property(
      TARGET "${arg_NAME}"
      APPEND
      PROPERTY ${property} "$<TARGET_PROPERTY:torch,INTERFACE_${property}>")
  endforeach()
  target_compile_definitions("${arg_NAME}" PRIVATE TORCH_TARGET_VERSION=${arg_STABLE})
  set(libraries torch_cpu)
  if(arg_CUDA)
    target_compile_definitions("${arg_NAME}" PRIVATE USE_CUDA)
    list(APPEND libraries torch_cuda)
  endif()
  if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    set(libraries "-Wl,--push-state,--as-needed" ${libraries} "-Wl,--pop-state")
  endif()
  target_link_libraries("${arg_NAME}" PRIVATE ${libraries})
endfunction()

# What an operator library and an app have in common; reads the caller's arg_… variables.
function(_ts_finish_target)
  target_include_directories("${arg_NAME}" PRIVATE ${arg_INCLUDE_DIRS})
  foreach(definition IN LISTS arg_DEFINITIONS)
    target_compile_definitions("${arg_NAME}" PRIVATE "${definition}")
  endforeach()
  _ts_hide_paths("${arg_NAME}" "${TS_SOURCE_DIR}")
  _ts_collect_less("${arg_NAME}")
  if(arg_DEFINITIONS_HEADER)
    set(header "${CMAKE_CURRENT_SOURCE_DIR}/${arg_DEFINITIONS_HEADER}")
    if(MSVC)
      target_compile_options("${arg_NAME}" PRIVATE "/FI${header}")
    else()
      target_compile_options("${arg_NAME}" PRIVATE "SHELL:-include \"${header}\"")
    endif()
  endif()
  if(arg_COMPILE_OPTIONS)
    _ts_add_options("${arg_COMPILE_OPTIONS}" "")
  endif()
  if(arg_CXX_OPTIONS)
    _ts_add_options("${arg_CXX_OPTIONS}" CXX)
  endif()
  if(arg_CUDA_OPTIONS)
    _ts_add_options("${arg_CUDA_OPTIONS}" CUDA)
  endif()
  if(arg_LINK_OPTIONS)
    string(REGEX REPLACE "^@(.*)" "SHELL:@\"${CMAKE_CURRENT_SOURCE_DIR}/\\1\"" link_options "${arg_LINK_OPTIONS}")
    target_link_options("${arg_NAME}" PRIVATE "${link_options}")
  endif()
  target_include_directories("${arg_NAME}" SYSTEM PRIVATE ${arg_CUDA_INCLUDE_DIRS})
  if(arg_CUDA)
    target_compile_definitions("${arg_NAME}" PRIVATE WITH_CUDA)
    target_compile_options("${arg_NAME}" PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:${arg_CUDA_FLAGS}>")
    # CMake knows a new standard of nvcc's only some releases after nvcc does.
    if(DEFINED CMAKE_CUDA${TORCH_CXX_STANDARD}_STANDARD_COMPILE_OPTION)
      set_target_properties("${arg_NAME}" PROPERTIES CUDA_STANDARD ${TORCH_CXX_STANDARD} CUDA_STANDARD_REQUIRED ON)
    else()
      target_compile_options("${arg_NAME}" PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:-std=c++${TORCH_CXX_STANDARD}>")
    endif()
    # The shared runtime is the one that libtorch has loaded already.
    set(runtime Shared)
    if(arg_STATIC_CUDA_RUNTIME)
      set(runtime Static)
    endif()
    set_target_properties("${arg_NAME}" PROPERTIES CUDA_RUNTIME_LIBRARY ${runtime} CUDA_SEPARABLE_COMPILATION
                                                                                   "${arg_SEPARABLE_COMPILATION}")
  endif()
  if(arg_CUDNN)
    list(GET arg_CUDNN 0 cudnn_include_dir)
    list(GET arg_CUDNN 1 cudnn_library)
    target_include_directories("${arg_NAME}" SYSTEM PRIVATE "${cudnn_include_dir}")
    target_link_libraries("${arg_NAME}" PRIVATE "${cudnn_library}")
  endif()
  target_link_directories("${arg_NAME}" PRIVATE ${arg_LINK_DIRS})
  _ts_link_ops()
  if(arg_KEEP_TORCH AND CMAKE_SYSTEM_NAME STREQUAL "Linux")
    get_target_property(libraries torch INTERFACE_LINK_LIBRARIES)
    target_link_libraries("${arg_NAME}" PRIVATE "-Wl,--push-state,--no-as-needed" ${libraries} ${TORCH_CUDA_LIBRARIES}
                                                "-Wl,--pop-state")
  endif()
  target_link_libraries("${arg_NAME}" PRIVATE ${arg_LINK_LIBRARIES})
  if(arg_STABLE)
    _ts_use_stable_abi()
  else()
    target_link_libraries("${arg_NAME}" PRIVATE torch)
  endif()
  # The RUNPATH of an installed file is relative; the one in the build tree finds libtorch where it is now.
  set_target_properties(
    "${arg_NAME}"
    PROPERTIES PREFIX ""
               SUFFIX ""
               OUTPUT_NAME "${arg_FILE_NAME}"
               RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/out/${arg_OUTPUT_DIR}"
               LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/out/${arg_OUTPUT_DIR}"
               BUILD_RPATH "${TORCH_LIBRARY_DIR}"
               BUILD_RPATH_USE_ORIGIN ON
               INSTALL_RPATH "${arg_INSTALL_RPATH}"
               INSTALL_RPATH_USE_LINK_PATH OFF)
  # conda's LDFLAGS name the host prefix's lib as an RPATH, too, and would double what INSTALL_RPATH says.
  if("$ENV{CONDA_BUILD}" STREQUAL "1" AND "${TORCH_LIBRARY_DIR}" STREQUAL "$ENV{PREFIX}/lib")
    set_target_properties("${arg_NAME}" PROPERTIES INSTALL_REMOVE_ENVIRONMENT_RPATH ON)
  endif()
  if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    # A program has DT_RPATH, which comes before LD_LIBRARY_PATH: it fits one libtorch only, and another that is found
    # there would end in "symbol lookup error". A library is loaded into somebody's process, which decides.
    get_target_property(type "${arg_NAME}" TYPE)
    if(type STREQUAL "EXECUTABLE")
      target_link_options("${arg_NAME}" PRIVATE "LINKER:--disable-new-dtags")
    else()
      target_link_options("${arg_NAME}" PRIVATE "LINKER:--enable-new-dtags")
    endif()
  endif()
  if(arg_DESTINATION)
    install(
      TARGETS "${arg_NAME}"
      RUNTIME DESTINATION "${arg_DESTINATION}" COMPONENT ${arg_COMPONENT}
      LIBRARY DESTINATION "${arg_DESTINATION}" COMPONENT ${arg_COMPONENT}
      ARCHIVE DESTINATION "${arg_DESTINATION}" COMPONENT development)
  endif()
endfunction()

# ts_add_runner(SOURCES file… TORCH_SOURCES file… [LIBRARY file]): the runner, main() included, once for all apps of the
# project. TORCH_SOURCES are those that include torch. LIBRARY is the same, compiled before; where it is gone, and in a
# tree that has compiled it once, the sources serve.
function(ts_add_runner)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "LIBRARY" "SOURCES;TORCH_SOURCES")
  _ts_reject_unparsed(ts_add_runner)
  set(own "${CMAKE_CURRENT_BINARY_DIR}/${CMAKE_STATIC_LIBRARY_PREFIX}ts_runner${CMAKE_STATIC_LIBRARY_SUFFIX}")
  if(arg_LIBRARY
     AND EXISTS "${arg_LIBRARY}"
     AND NOT EXISTS "${own}")
    add_library(ts_runner STATIC IMPORTED GLOBAL)
    set_target_properties(ts_runner PROPERTIES IMPORTED_LOCATION "${arg_LIBRARY}")
    target_include_directories(ts_runner INTERFACE "${CMAKE_CURRENT_SOURCE_DIR}")
    target_link_libraries(ts_runner INTERFACE torch)
    return()
  endif()
  # The standard library's headers cost half as much in C++14 as in C++20, and only the torch sources need more; the
  # others, as one translation unit, read them once (Microsoft's would see each other's windows.h). So do the torch
  # sources with torch's headers.
  add_library(ts_runner_plain OBJECT ${arg_SOURCES})
  set_target_properties(ts_runner_plain PROPERTIES CXX_STANDARD 14 CXX_STANDARD_REQUIRED ON)
  if(NOT WIN32)
    set_target_properties(ts_runner_plain PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 0)
  endif()
  target_include_directories(ts_runner_plain PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}")
  target_compile_definitions(ts_runner_plain PRIVATE "$<TARGET_PROPERTY:torch,INTERFACE_COMPILE_DEFINITIONS>")
  add_library(ts_runner STATIC ${arg_TORCH_SOURCES} $<TARGET_OBJECTS:ts_runner_plain>)
  set_target_properties(ts_runner PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 0)
  set_target_properties(ts_runner ts_runner_plain PROPERTIES POSITION_INDEPENDENT_CODE ON) # for ts_add_library
  # 2.12 and 2.13 ask for C++20, which costs a tenth more, and only Microsoft's compiler needs it for their headers.
  set(standard "${TORCH_CXX_STANDARD}")
  if(NOT MSVC
     AND standard GREATER 17
     AND TORCH_VERSION VERSION_LESS 2.14)
    set(standard 17)
  endif()
  set_target_properties(ts_runner PROPERTIES CXX_STANDARD "${standard}" CXX_STANDARD_REQUIRED ON)
  # Known to fit; a newer torch is compiled with its own headers alone.
  if(TORCH_VERSION VERSION_GREATER_EQUAL 2.1 AND TORCH_VERSION VERSION_LESS 2.16)
    set(without_intrinsics "${CMAKE_CURRENT_SOURCE_DIR}/lean_without_intrinsics")
    target_include_directories(ts_runner PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/lean"
                                                 "$<$<CXX_COMPILER_ID:GNU>:${without_intrinsics}>")
  endif()
  target_include_directories(ts_runner PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}")
  target_include_directories(ts_runner SYSTEM PRIVATE "$<TARGET_PROPERTY:torch,INTERFACE_INCLUDE_DIRECTORIES>")
  target_compile_definitions(ts_runner PRIVATE "$<TARGET_PROPERTY:torch,INTERFACE_COMPILE_DEFINITIONS>")
  target_compile_options(ts_runner PRIVATE "$<TARGET_PROPERTY:torch,INTERFACE_COMPILE_OPTIONS>")
  target_link_libraries(ts_runner INTERFACE torch) # and not what it asks for: the standard
  foreach(target IN ITEMS ts_runner ts_runner_plain)
    _ts_hide_paths(${target} "${CMAKE_CURRENT_SOURCE_DIR}")
    _ts_collect_less(${target})
    # The runner calls libtorch and prints: optimizing it gains nothing. GCC takes longest with -O2, a third less with -O1,
    # half with -Og, and more than that without any optimization, since then nothing is inlined away.
    target_compile_options(${target} PRIVATE "$<$<AND:$<CONFIG:Release>,$<CXX_COMPILER_ID:GNU,Clang,AppleClang>>:-Og>")
  endforeach()
endfunction()

# ts_add_app(… [RUNNER]): a program; RUNNER links the runner, to which SOURCES add only what the app is called.
function(ts_add_app)
  cmake_parse_arguments(PARSE_ARGV 0 arg "${_ts_options}" "${_ts_single}" "${_ts_multi}")
  _ts_reject_unparsed(ts_add_app)
  add_executable("${arg_NAME}" ${arg_SOURCES})
  if(arg_RUNNER)
    target_link_libraries("${arg_NAME}" PRIVATE ts_runner)
  endif()
  set(arg_COMPONENT apps)
  _ts_finish_target()
endfunction()

# ts_add_ops(… [PYTHON_INCLUDE dir] [PYTHON_MODULE [LIMITED_API 3.9]] [LEAN file… [LEAN_PYTHON file…] [NAMED file…
# NAMED_IN folder… [WITHOUT_… file…]]] [PRECOMPILE header [APART file…]] [STABLE release]): an operator library. PYTHON_MODULE makes it a Python extension
# module as well, which links libtorch_python. STABLE aims at torch's stable ABI of that release (0x020a000000000000).
function(ts_add_ops)
  cmake_parse_arguments(PARSE_ARGV 0 arg "${_ts_options}" "${_ts_single}" "${_ts_multi}")
  _ts_reject_unparsed(ts_add_ops)
  add_library("${arg_NAME}" SHARED ${arg_SOURCES})
  # For Python.h, which libraries that are no modules include, too.
  target_include_directories("${arg_NAME}" SYSTEM PRIVATE "${arg_PYTHON_INCLUDE}")
  if(arg_PYTHON_MODULE)
    target_compile_definitions("${arg_NAME}" PRIVATE TORCH_API_INCLUDE_EXTENSION_H TORCH_EXTENSION_NAME=${arg_NAME})
    if(NOT arg_STABLE)
      target_link_libraries("${arg_NAME}" PRIVATE "${TORCH_PYTHON_LIBRARY}")
    endif()
    if(arg_LIMITED_API)
      target_compile_definitions("${arg_NAME}" PRIVATE Py_LIMITED_API=${arg_LIMITED_API})
    endif()
    if(APPLE)
      target_link_options("${arg_NAME}" PRIVATE "LINKER:-undefined,dynamic_lookup")
    endif()
  elseif(MSVC)
    # A symbol that programs can ask for, so that they keep the library.
    string(MAKE_C_IDENTIFIER "torchscript_build_keep_${arg_NAME}" symbol)
    set(anchor "${CMAKE_CURRENT_BINARY_DIR}/${symbol}.cpp")
    file(
      GENERATE
      OUTPUT "${anchor}"
      CONTENT "extern \"C\" __declspec(dllexport) int ${symbol} = 1;\n")
    target_sources("${arg_NAME}" PRIVATE "${anchor}")
  endif()
  set(arg_COMPONENT ops)
  _ts_finish_target()
  _ts_lighten()
endfunction()
