# Which libtorch a configure run uses. Asked once in a run: the answer is a global property, and gone with the next run.

include_guard(GLOBAL)
set_property(GLOBAL PROPERTY _TS_CMAKE_ROOT "${CMAKE_CURRENT_LIST_DIR}")

# _ts_resolve_torch(dir error): the folder of the package for the libtorch that was found, or the reason why there is none.
function(_ts_resolve_torch result_dir result_error)
  set(key found)
  if(TORCHSCRIPT_BUILD_LIBTORCH)
    string(MD5 key "${TORCHSCRIPT_BUILD_LIBTORCH}")
  endif()
  get_property(
    is_known GLOBAL
    PROPERTY "_TS_TORCH_DIR_${key}"
    SET)
  if(NOT is_known)
    set(error "")
    _ts_outer_choice(dir)
    if(NOT dir)
      set(dir "${CMAKE_BINARY_DIR}/CMakeFiles/TorchScriptBuild/${key}")
      _ts_search_libtorch("${dir}" error)
    endif()
    set_property(GLOBAL PROPERTY "_TS_TORCH_DIR_${key}" "${dir}")
    set_property(GLOBAL PROPERTY "_TS_TORCH_ERROR_${key}" "${error}")
    if(NOT error)
      file(WRITE "${CMAKE_BINARY_DIR}/CMakeFiles/TorchScriptBuild/choice.txt" "${dir}")
    endif()
  endif()
  get_property(dir GLOBAL PROPERTY "_TS_TORCH_DIR_${key}")
  get_property(error GLOBAL PROPERTY "_TS_TORCH_ERROR_${key}")
  set(${result_dir}
      "${dir}"
      PARENT_SCOPE)
  set(${result_error}
      "${error}"
      PARENT_SCOPE)
endfunction()

# The package that a build around this one has chosen (ExternalProject), unless this one names a libtorch itself or is run
# by a Python back end, which nothing is around.
function(_ts_outer_choice result)
  set(${result}
      ""
      PARENT_SCOPE)
  if(TORCHSCRIPT_BUILD_LIBTORCH
     OR NOT "$ENV{TORCHSCRIPT_BUILD_LIBTORCH}" STREQUAL ""
     OR DEFINED SKBUILD
     OR DEFINED PY_BUILD_CMAKE_PACKAGE_VERSION)
    return()
  endif()
  get_filename_component(folder "${CMAKE_BINARY_DIR}" DIRECTORY)
  set(inner "${CMAKE_BINARY_DIR}")
  while(NOT folder STREQUAL inner)
    set(choice "${folder}/CMakeFiles/TorchScriptBuild/choice.txt")
    if(EXISTS "${choice}" AND EXISTS "${folder}/CMakeCache.txt")
      file(READ "${choice}" dir)
      if(EXISTS "${dir}/TorchConfig.cmake")
        message(STATUS "Torch: as chosen by the build around this one, ${folder}")
        set(${result}
            "${dir}"
            PARENT_SCOPE)
        return()
      endif()
    endif()
    set(inner "${folder}")
    get_filename_component(folder "${folder}" DIRECTORY)
  endwhile()
endfunction()

# Search with the interpreter that runs the build, and write the package into a folder; error is empty if that went well.
function(_ts_search_libtorch output result)
  get_property(root GLOBAL PROPERTY _TS_CMAKE_ROOT)
  set(words "--output" "${output}")
  if(TORCHSCRIPT_BUILD_LIBTORCH)
    list(APPEND words "--libtorch" "${TORCHSCRIPT_BUILD_LIBTORCH}")
  endif()
  foreach(prefix IN LISTS CMAKE_PREFIX_PATH)
    list(APPEND words "--prefix-path" "${prefix}")
  endforeach()
  _ts_pythons("${root}" pythons)
  set(tried "")
  foreach(python IN LISTS pythons)
    execute_process(
      COMMAND "${python}" "${root}/resolve.py" ${words}
      RESULT_VARIABLE code
      OUTPUT_VARIABLE said
      ERROR_VARIABLE said)
    if(code EQUAL 0)
      set(${result}
          ""
          PARENT_SCOPE)
      return()
    endif()
    string(STRIP "${said}" said)
    if(code EQUAL 1 AND NOT said STREQUAL "")
      set(${result}
          "${said}"
          PARENT_SCOPE)
      return()
    endif()
    # It cannot be started (a sentence instead of a code), or cannot run us; maybe the next can.
    string(REGEX REPLACE ".*\n" "" last "${said}")
    string(APPEND tried "\n    ${python}: ${last} (${code})")
  endforeach()
  set(${result}
      "torchscript-build cannot be run to search for libtorch:${tried}
  do one of these:
    - name a Python that has it: -DTORCHSCRIPT_BUILD_PYTHON=…
    - do without it: -DTorch_DIR=<torch>/share/cmake/Torch"
      PARENT_SCOPE)
endfunction()

# Pythons, the one that runs the build first: what somebody named, what a back end or FindPython has set, that of the
# environment in which this folder is installed, those on PATH.
function(_ts_pythons root result)
  set(pythons "")
  foreach(variable IN ITEMS TORCHSCRIPT_BUILD_PYTHON Python_EXECUTABLE Python3_EXECUTABLE PYTHON_EXECUTABLE)
    if(${variable})
      list(APPEND pythons "${${variable}}")
    endif()
  endforeach()
  if(TORCHSCRIPT_BUILD_PYTHON)
    set(${result}
        "${pythons}"
        PARENT_SCOPE)
    return()
  endif()
  get_filename_component(site "${root}/../../.." ABSOLUTE)
  foreach(python IN ITEMS "../../../bin/python3" "../../Scripts/python.exe" "../../python.exe")
    get_filename_component(python "${site}/${python}" ABSOLUTE)
    if(EXISTS "${python}" AND EXISTS "${site}/torchscript_build/__init__.py")
      list(APPEND pythons "${python}")
    endif()
  endforeach()
  list(APPEND pythons python3 python)
  list(REMOVE_DUPLICATES pythons)
  set(${result}
      "${pythons}"
      PARENT_SCOPE)
endfunction()
