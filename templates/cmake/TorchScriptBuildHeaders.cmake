# What an operator library's sources get in the place of torch's heavy headers; see the setting lean-headers.

# The heavy headers of torch in arg_NAME: a precompiled one for all sources but those in arg_APART, or the lean form for
# those in arg_LEAN, with Python's part in arg_LEAN_PYTHON; in arg_NAMED without what arg_WITHOUT_… say, and with those
# operators of ATen only that a header in the folder of arg_NAMED_IN includes.
function(_ts_lighten)
  if(arg_PRECOMPILE)
    target_precompile_headers("${arg_NAME}" PRIVATE "<${arg_PRECOMPILE}>")
    set_source_files_properties(${arg_APART} PROPERTIES SKIP_PRECOMPILE_HEADERS ON)
    if(arg_LEAN)
      target_include_directories("${arg_NAME}" BEFORE PRIVATE "${CMAKE_CURRENT_SOURCE_DIR}/lean")
    endif()
    if(arg_LEAN_PYTHON)
      target_compile_definitions("${arg_NAME}" PRIVATE TORCHSCRIPT_BUILD_WITH_PYTHON)
    endif()
  else()
    set_property(
      SOURCE ${arg_LEAN}
      APPEND
      PROPERTY INCLUDE_DIRECTORIES "${CMAKE_CURRENT_SOURCE_DIR}/lean")
    set_property(
      SOURCE ${arg_LEAN_PYTHON}
      APPEND
      PROPERTY COMPILE_DEFINITIONS TORCHSCRIPT_BUILD_WITH_PYTHON)
    if(arg_LEAN_PYTHON)
      list(REMOVE_ITEM arg_LEAN ${arg_LEAN_PYTHON})
    endif()
    set_property(
      SOURCE ${arg_LEAN}
      APPEND
      PROPERTY INCLUDE_DIRECTORIES "${CMAKE_CURRENT_SOURCE_DIR}/lean_without_python")
    foreach(part IN ITEMS autograd factories intrinsics profiler variables)
      if(part STREQUAL "intrinsics" AND NOT CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
        continue()
      endif()
      string(TOUPPER ${part} keyword)
      set_property(
        SOURCE ${arg_WITHOUT_${keyword}}
        APPEND
        PROPERTY INCLUDE_DIRECTORIES "${CMAKE_CURRENT_SOURCE_DIR}/lean_without_${part}")
    endforeach()
    foreach(source folder IN ZIP_LISTS arg_NAMED arg_NAMED_IN)
      set_property(
        SOURCE "${source}"
        APPEND
        PROPERTY INCLUDE_DIRECTORIES "${CMAKE_CURRENT_SOURCE_DIR}/lean_named" "${CMAKE_CURRENT_SOURCE_DIR}/${folder}")
    endforeach()
  endif()
endfunction()
