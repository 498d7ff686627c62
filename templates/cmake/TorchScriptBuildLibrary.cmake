# Plain C libraries of models.

# ts_add_library(… EXPORTS file EXPORTED_SYMBOLS file): a C library around the runner, to which SOURCES add the interface
# under its own names. EXPORTS is the linker's version script with these, EXPORTED_SYMBOLS the list for macOS' linker; no
# other symbol is visible.
function(ts_add_library)
  cmake_parse_arguments(PARSE_ARGV 0 arg "${_ts_options}" "${_ts_single};EXPORTS;EXPORTED_SYMBOLS" "${_ts_multi}")
  _ts_reject_unparsed(ts_add_library)
  add_library("${arg_NAME}" SHARED ${arg_SOURCES})
  target_link_libraries("${arg_NAME}" PRIVATE ts_runner)
  set_target_properties(
    "${arg_NAME}"
    PROPERTIES CXX_STANDARD 14
               CXX_STANDARD_REQUIRED ON
               CXX_VISIBILITY_PRESET hidden)
  if(NOT WIN32)
    # All but the first, which says where its models lie: a wheel and a prefix differ in nothing else.
    list(GET arg_SOURCES 0 info)
    set_source_files_properties("${info}" PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
    set_target_properties("${arg_NAME}" PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 0)
  endif()
  set(exports "${CMAKE_CURRENT_SOURCE_DIR}/${arg_EXPORTS}")
  if(APPLE)
    set(exports "${CMAKE_CURRENT_SOURCE_DIR}/${arg_EXPORTED_SYMBOLS}")
    target_link_options("${arg_NAME}" PRIVATE "LINKER:-exported_symbols_list,${exports}")
  elseif(NOT WIN32)
    # Its calls of its own functions stay in it, whatever else the process has.
    target_link_options("${arg_NAME}" PRIVATE "LINKER:--version-script=${exports}" "LINKER:-Bsymbolic"
                        "LINKER:--exclude-libs,ALL")
  endif()
  set_target_properties("${arg_NAME}" PROPERTIES LINK_DEPENDS "${exports}")
  if(NOT WIN32)
    target_link_libraries("${arg_NAME}" PRIVATE pthread ${CMAKE_DL_LIBS})
  endif()
  set(arg_COMPONENT libraries)
  _ts_finish_target()
endfunction()
