# The functions that the generated CMakeLists.txt calls. All values arrive as keyword arguments.

# The RUNPATH that an installed file gets is relative; the copy in the build tree finds libtorch where it is now.
function(_ts_set_runpath target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "OUTPUT_DIR" "INSTALL_RPATH;BUILD_RPATH")
  set_target_properties(
    ${target}
    PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/out/${arg_OUTPUT_DIR}"
               LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/out/${arg_OUTPUT_DIR}"
               BUILD_RPATH "${TORCH_LIBRARY_DIR};${arg_BUILD_RPATH}"
               BUILD_RPATH_USE_ORIGIN ON
               INSTALL_RPATH "${arg_INSTALL_RPATH}"
               INSTALL_RPATH_USE_LINK_PATH OFF)
  if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    target_link_options(${target} PRIVATE "LINKER:--enable-new-dtags")
  endif()
endfunction()

# What an app and an operator library have in common.
function(_ts_configure_target target)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "" "INCLUDE_DIRS;DEFINITIONS;COMPILE_OPTIONS;LINK_LIBRARIES;LINK_DIRS")
  target_include_directories(${target} PRIVATE ${arg_INCLUDE_DIRS})
  foreach(definition IN LISTS arg_DEFINITIONS)
    target_compile_definitions(${target} PRIVATE "${definition}")
  endforeach()
  target_compile_options(${target} PRIVATE ${arg_COMPILE_OPTIONS})
  target_link_directories(${target} PRIVATE ${arg_LINK_DIRS})
  target_link_libraries(${target} PRIVATE ${arg_LINK_LIBRARIES} torch)
endfunction()

function(_ts_reject_unparsed function unparsed missing)
  if(unparsed)
    message(FATAL_ERROR "${function}: unknown arguments: ${unparsed}")
  endif()
  if(missing)
    message(FATAL_ERROR "${function}: keywords without a value: ${missing}")
  endif()
endfunction()

# ts_add_runner(SOURCES file…): the runner's common part, compiled once for all apps of the project.
function(ts_add_runner)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "" "SOURCES")
  _ts_reject_unparsed(ts_add_runner "${arg_UNPARSED_ARGUMENTS}" "${arg_KEYWORDS_MISSING_VALUES}")
  add_library(ts_runner STATIC ${arg_SOURCES})
  target_include_directories(ts_runner PUBLIC "${CMAKE_CURRENT_SOURCE_DIR}/runner")
  target_link_libraries(ts_runner PUBLIC torch)
endfunction()

# ts_add_app(NAME … SOURCES file… [RUNNER] OUTPUT_DIR dir [DESTINATION dir] [INSTALL_RPATH dir…] [BUILD_RPATH dir…]
#            [INCLUDE_DIRS …] [DEFINITIONS …] [COMPILE_OPTIONS …] [LINK_LIBRARIES …] [LINK_DIRS …])
# An app without DESTINATION is built and never installed.
function(ts_add_app)
  cmake_parse_arguments(
    PARSE_ARGV 0 arg "RUNNER" "NAME;OUTPUT_DIR;DESTINATION"
    "SOURCES;INSTALL_RPATH;BUILD_RPATH;INCLUDE_DIRS;DEFINITIONS;COMPILE_OPTIONS;LINK_LIBRARIES;LINK_DIRS")
  _ts_reject_unparsed(ts_add_app "${arg_UNPARSED_ARGUMENTS}" "")
  add_executable("${arg_NAME}" ${arg_SOURCES})
  if(arg_RUNNER)
    target_link_libraries("${arg_NAME}" PRIVATE ts_runner)
  endif()
  _ts_configure_target(
    "${arg_NAME}"
    INCLUDE_DIRS ${arg_INCLUDE_DIRS}
    DEFINITIONS ${arg_DEFINITIONS}
    COMPILE_OPTIONS ${arg_COMPILE_OPTIONS}
    LINK_LIBRARIES ${arg_LINK_LIBRARIES}
    LINK_DIRS ${arg_LINK_DIRS})
  _ts_set_runpath("${arg_NAME}" OUTPUT_DIR "${arg_OUTPUT_DIR}" INSTALL_RPATH ${arg_INSTALL_RPATH} BUILD_RPATH
                  ${arg_BUILD_RPATH})
  if(arg_DESTINATION)
    install(TARGETS "${arg_NAME}" RUNTIME DESTINATION "${arg_DESTINATION}" COMPONENT torchscript-build)
  endif()
endfunction()
