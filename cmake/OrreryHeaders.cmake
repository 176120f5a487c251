# Target headers_alone: each header compiled as the only include of a file, so that it names all it needs. Not part of all.
file(GLOB_RECURSE headers RELATIVE ${PROJECT_SOURCE_DIR}
  ${PROJECT_SOURCE_DIR}/kernels/*.h ${PROJECT_SOURCE_DIR}/core/*.h ${PROJECT_SOURCE_DIR}/video/*.h
  ${PROJECT_SOURCE_DIR}/physics_eval/*.h ${PROJECT_SOURCE_DIR}/viewer/*.h ${PROJECT_SOURCE_DIR}/apps/*.h)
if(NOT TARGET orrery_kernels_cuda)
  list(FILTER headers EXCLUDE REGEX "^kernels/cuda/")
endif()
set(sources)
foreach(header IN LISTS headers)
  set(source ${PROJECT_BINARY_DIR}/headers_alone/${header}.cc)
  file(CONFIGURE OUTPUT ${source} CONTENT "#include \"@header@\"\n" @ONLY)
  list(APPEND sources ${source})
endforeach()
add_library(headers_alone OBJECT EXCLUDE_FROM_ALL ${sources})
target_include_directories(headers_alone PRIVATE ${PROJECT_SOURCE_DIR})
target_link_libraries(headers_alone PRIVATE orrery_flags OpenMP::OpenMP_CXX)
target_compile_options(headers_alone PRIVATE -O0)
