# Functions for what is installed beside torch, in a Python package.

# ts_install_rpath(target… [DESTINATION dir]): when installed, these find libtorch in the torch that is installed in the
# same site-packages. DESTINATION is their folder in the site-packages, "my_package/lib"; without, any folder will do that
# is at most three levels deep.
function(ts_install_rpath)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "DESTINATION" "")
  if(NOT arg_UNPARSED_ARGUMENTS OR arg_KEYWORDS_MISSING_VALUES)
    message(FATAL_ERROR "ts_install_rpath(target… [DESTINATION dir]): no target, or DESTINATION without a folder")
  endif()
  if(DEFINED arg_DESTINATION)
    if(IS_ABSOLUTE "${arg_DESTINATION}")
      message(FATAL_ERROR "ts_install_rpath: DESTINATION is relative to the site-packages, not ${arg_DESTINATION}")
    endif()
    file(RELATIVE_PATH up "/site/${arg_DESTINATION}" "/site/torch/lib")
    set(ways "${up}")
  else()
    set(ways ../torch/lib ../../torch/lib ../../../torch/lib torch/lib)
  endif()
  if(APPLE)
    list(TRANSFORM ways PREPEND "@loader_path/")
  else()
    list(TRANSFORM ways PREPEND "$ORIGIN/")
  endif()
  foreach(target IN LISTS arg_UNPARSED_ARGUMENTS)
    if(NOT TARGET ${target})
      message(FATAL_ERROR "ts_install_rpath: there is no target ${target}")
    endif()
    get_target_property(present ${target} INSTALL_RPATH)
    if(NOT present)
      set(present "")
    endif()
    list(APPEND present ${ways})
    list(REMOVE_DUPLICATES present)
    set_target_properties(${target} PROPERTIES INSTALL_RPATH "${present}" INSTALL_RPATH_USE_LINK_PATH OFF)
    if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
      set_property(
        TARGET ${target}
        APPEND
        PROPERTY LINK_OPTIONS "LINKER:--enable-new-dtags")
    endif()
  endforeach()
endfunction()
