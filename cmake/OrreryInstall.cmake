# cmake --install: the programs, the layers with their headers, and what find_package(orrery) needs (tests/consumer uses it).
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)
get_property(layers GLOBAL PROPERTY ORRERY_LAYERS)
set(ORRERY_HAS_CUDA OFF)
if(TARGET orrery_kernels_cuda)
  set(ORRERY_HAS_CUDA ON)
endif()

install(TARGETS ${layers} EXPORT orreryTargets)

# The headers of each layer, where the sources have them; those of the back ends are nobody's business but theirs.
set(folders)
foreach(layer IN LISTS layers)
  get_target_property(folder ${layer} SOURCE_DIR)
  file(RELATIVE_PATH folder ${PROJECT_SOURCE_DIR} ${folder})
  if(NOT folder MATCHES "^kernels/(cpu|cuda)")
    list(APPEND folders ${folder})
  endif()
endforeach()
list(REMOVE_DUPLICATES folders)
foreach(folder IN LISTS folders)
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/${folder}/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}/orrery/${folder}
    FILES_MATCHING PATTERN "libav" EXCLUDE PATTERN "*.h")
endforeach()

set(config_dir ${CMAKE_INSTALL_LIBDIR}/cmake/orrery)
install(EXPORT orreryTargets NAMESPACE orrery:: DESTINATION ${config_dir})
configure_package_config_file(${PROJECT_SOURCE_DIR}/cmake/orreryConfig.cmake.in
  ${PROJECT_BINARY_DIR}/orreryConfig.cmake INSTALL_DESTINATION ${config_dir})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/orreryConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/orreryConfig.cmake ${PROJECT_BINARY_DIR}/orreryConfigVersion.cmake
  ${PROJECT_SOURCE_DIR}/cmake/OrreryDependencies.cmake DESTINATION ${config_dir})

# The shipped models, where an installed program looks for them.
install(DIRECTORY ${PROJECT_SOURCE_DIR}/models/ DESTINATION ${CMAKE_INSTALL_DATADIR}/orrery/models
  FILES_MATCHING PATTERN "*.safetensors" PATTERN "*.json" PATTERN "*.txt" PATTERN "*.toml" PATTERN "*.md")
