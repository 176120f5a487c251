# What only the window needs; nothing that is installed for others links it.
find_package(OpenGL REQUIRED)
find_package(glfw3 REQUIRED)
pkg_check_modules(imgui REQUIRED IMPORTED_TARGET imgui)
get_target_property(dirs PkgConfig::imgui INTERFACE_INCLUDE_DIRECTORIES)
set_target_properties(PkgConfig::imgui PROPERTIES INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${dirs}")
