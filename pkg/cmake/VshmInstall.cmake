# SPDX-License-Identifier: BSD-3-Clause
# cmake --install: libraries, headers, pkg-config file, CMake package, vshmctl, man pages.

include(CMakePackageConfigHelpers)

install(TARGETS vshm vshm_static EXPORT libvshm)
install(DIRECTORY ${CMAKE_SOURCE_DIR}/include/vshm ${CMAKE_BINARY_DIR}/include/vshm
	DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.h")
if(TARGET vshmctl)
	install(TARGETS vshmctl)
endif()
