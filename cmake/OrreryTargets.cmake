# orrery_layer(NAME [INTERNAL] SOURCES … LINKS … PRIVATE_LINKS …): one static library a layer, with the house's flags.
# INTERNAL: of no use to others, so it is not installed.

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()

find_program(ORRERY_CCACHE ccache)
if(ORRERY_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${ORRERY_CCACHE})
endif()

add_library(orrery_flags INTERFACE)
# Results must not depend on the compiler's mood: no contraction behind our back, no fast-math.
set(ORRERY_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wold-style-cast -Wno-psabi -ffp-contract=off)
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  list(APPEND ORRERY_WARNINGS -Wno-restrict)  # GCC 12 reports std::string concatenation falsely (GCC bug 105651)
endif()
if(ORRERY_WERROR)
  list(APPEND ORRERY_WARNINGS -Werror)
endif()
target_compile_options(orrery_flags INTERFACE "$<$<COMPILE_LANGUAGE:CXX>:${ORRERY_WARNINGS}>")
if(ORRERY_SANITIZE)
  target_compile_options(orrery_flags INTERFACE -fsanitize=${ORRERY_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(orrery_flags INTERFACE -fsanitize=${ORRERY_SANITIZE})
endif()
if(ORRERY_FUZZ)
  target_compile_options(orrery_flags INTERFACE -fsanitize=fuzzer-no-link)  # tests/fuzz links libFuzzer
endif()

function(orrery_layer name)
  cmake_parse_arguments(ARG "INTERNAL" "" "SOURCES;LINKS;PRIVATE_LINKS" ${ARGN})
  add_library(${name} STATIC ${ARG_SOURCES})
  string(REPLACE "orrery_" "" short ${name})
  add_library(orrery::${short} ALIAS ${name})
  set_target_properties(${name} PROPERTIES EXPORT_NAME ${short})
  target_include_directories(${name} PUBLIC
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}> $<INSTALL_INTERFACE:include/orrery>)
  target_link_libraries(${name} PUBLIC ${ARG_LINKS} PRIVATE $<BUILD_INTERFACE:orrery_flags> ${ARG_PRIVATE_LINKS})
  if(NOT ARG_INTERNAL)
    set_property(GLOBAL APPEND PROPERTY ORRERY_LAYERS ${name})
  endif()
endfunction()
